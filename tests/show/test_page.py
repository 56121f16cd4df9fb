"""Widgets and notebooks as pages: whole, safe, and without anything to load."""

import base64
import io
import os
from pathlib import Path

import ipywidgets
import nbformat
import numpy as np
import pytest
from counter import Counter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from parsed import Parsed
from PIL import Image

import vos_lab as vl
from vos_lab.show import page as pages

HOSTILE = "</script></title><!--<script>alert(1)</script>\u2028'\"&"
VIEW, STATE = "application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json"


def written(folder: Path, *cells, name: str = "lesson.ipynb", widgets: dict | None = None) -> Path:
    """A notebook file; a cell given as text is prose."""
    made = new_notebook(cells=[new_markdown_cell(cell) if isinstance(cell, str) else cell for cell in cells])
    if widgets:
        made.metadata["widgets"] = {STATE: {"version_major": 2, "version_minor": 0, "state": widgets}}
    nbformat.write(made, folder / name)
    return folder / name


def ran(source: str, *outputs) -> nbformat.NotebookNode:
    return new_code_cell(source, execution_count=1, outputs=list(outputs))


def shown(data: dict) -> nbformat.NotebookNode:
    return new_output("display_data", data=data)


PRINTED = new_output("stream", name="stdout", text="printed before\n")


def test_a_widget_becomes_a_page_with_its_state_and_nothing_to_load(tmp_path):
    widget = Counter(words=["a", "b"], count=4)
    assert vl.show.export(widget, tmp_path / "new" / "page.html") == tmp_path / "new" / "page.html"
    vl.show.export(widget, tmp_path / "page.html")  # and once more: the name still means the function
    parsed = Parsed(tmp_path / "page.html")
    assert parsed.loads() == []
    assert parsed.text("title").strip() == "Counter"
    data = parsed.widgets()
    (model,) = data["models"].values()
    assert data["texts"][model["script"]] == Counter._esm and data["texts"][model["style"]] == Counter._css
    state = {"words": ["a", "b"], "count": 4, "started": 0, "pictures": [None, None], "named": {}}
    assert model["state"] == state  # nothing of Jupyter's own
    sent = {tuple(buffer["path"]): base64.b64decode(buffer["data"]) for buffer in model["buffers"]}
    inside = {("pictures", 0): b"\x07", ("pictures", 1): b"\x08", ("named", "a key"): b"\x09"}
    assert sent == {("data",): b"\x00\xff", **inside}


def test_hostile_strings_stay_data(tmp_path):
    vl.show.export(Counter(words=[HOSTILE]), tmp_path / "page.html", title=HOSTILE)
    parsed = Parsed(tmp_path / "page.html")
    assert len(parsed.all("script")) == 2  # the data, and offline.js
    assert parsed.widgets()["models"]["widget"]["state"]["words"] == [HOSTILE]
    assert HOSTILE in parsed.text("title") and HOSTILE in parsed.text("h1")


def test_nan_does_not_break_the_page(tmp_path):
    vl.show.export(Counter(words=[float("nan"), 1.5]), tmp_path / "page.html")
    assert Parsed(tmp_path / "page.html").widgets()["models"]["widget"]["state"]["words"] == ["nan", 1.5]


def test_a_widget_that_needs_python_is_shown_as_its_twin(tmp_path):
    import matplotlib.pyplot as plt

    class TrainingMonitor(Counter):
        about = HOSTILE

        def twin(self):
            return plt.figure(figsize=(1, 1))

    vl.show.export(TrainingMonitor(), tmp_path / "page.html")
    parsed = Parsed(tmp_path / "page.html")
    (picture,) = parsed.all("img")
    assert picture["alt"] == HOSTILE and picture["src"].startswith("data:image/png") and not parsed.all("script")


@pytest.mark.parametrize("target", ["page.txt", "page", "folder.html"])
def test_a_target_that_is_no_html_file_is_refused_first(tmp_path, target):
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(vl.InputError, match="ends in .html"):
        vl.show.export(Counter(), tmp_path / target)


def test_what_is_neither_widget_nor_notebook_is_refused(tmp_path):
    (tmp_path / "broken.ipynb").write_text("{")
    (tmp_path / "list.ipynb").write_text("[]")
    for wrong in (7, ipywidgets.IntSlider(), "missing.ipynb", tmp_path, *tmp_path.glob("*.ipynb")):
        with pytest.raises(vl.InputError, match="widget_or_notebook"):
            vl.show.export(wrong, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_formulas_become_mathml(tmp_path):
    environment = r"\begin{align} a &= b \\ c &= d \end{align}"
    hidden = "<details><summary>Hint</summary>\n\nIt is $h^2$.\n\n</details>"
    cell = ran("1", PRINTED, shown({"text/latex": "$\\displaystyle \\alpha$", "text/plain": "alpha"}))
    source = written(tmp_path, "# Sums\n\nHere $a < b$ and `$code$`.\n\n$$\\sum_i A_{ij} = 1$$\n\n" + environment, hidden, cell)
    vl.show.export(source, tmp_path / "page.html")
    parsed = Parsed(tmp_path / "page.html")
    assert len(parsed.all("math")) == 5
    assert sum(attributes.get("display") == "block" for attributes in parsed.all("math")) == 2
    assert "$code$" in parsed.text("code") and len(parsed.all("details")) == 1 and parsed.loads() == []
    text = (tmp_path / "page.html").read_text()
    assert text.index("<details>") < text.index("<msup>") < text.index("</details>")
    assert "MathJax" not in text and "require.js" not in text and "cdn" not in text


def test_a_formula_that_cannot_be_shown_is_named_before_anything_runs(tmp_path):
    source = written(tmp_path, r"# Wrong $\frac{a$", new_code_cell("open('it_ran', 'w')"))
    with pytest.raises(vl.InputError, match=r"lesson.ipynb.*\\frac\{a"):
        vl.show.export(source, tmp_path / "page.html")
    assert not (tmp_path / "it_ran").exists()


def test_formulas_cannot_smuggle_in_a_script(tmp_path):
    source = written(tmp_path, r"# T" + "\n\n" + r"$\text{</math><script>alert(1)</script>}$", ran("1", PRINTED))
    vl.show.export(source, tmp_path / "page.html")
    assert not Parsed(tmp_path / "page.html").all("script")


def test_pictures_beside_the_notebook_move_in(tmp_path):
    (tmp_path / "lessons").mkdir()
    Image.new("RGB", (3, 2), "red").save(tmp_path / "red dot.png")
    prose = "# T\n\n![a red dot](../red%20dot.png)\n\n<details><summary>Hint</summary>\n\n"
    source = written(tmp_path / "lessons", prose + '<img alt="again" src="../red dot.png">\n\n</details>', ran("1", PRINTED))
    vl.show.export(source, tmp_path / "page.html")
    parsed = Parsed(tmp_path / "page.html")
    assert parsed.loads() == [] and [picture["alt"] for picture in parsed.all("img")] == ["a red dot", "again"]
    picture = Image.open(io.BytesIO(base64.b64decode(parsed.all("img")[1]["src"].split(",")[1])))
    assert picture.size == (3, 2)


@pytest.mark.parametrize(
    "prose",
    [
        "![x](https://example.org/x.png)",
        '<img alt="x" src="//example.org/x.png">',
        "![x](absent.png)",
        '<script src="http://example.org/x.js"></script>',
        '<link rel="stylesheet" href="https://example.org/x.css">',
        "![x](lesson.ipynb)",  # is there, but no picture
    ],
)
def test_what_would_be_fetched_is_refused_by_name(tmp_path, prose):
    with pytest.raises(vl.InputError, match="lesson.ipynb.*elsewhere"):
        vl.show.export(written(tmp_path, f"# T\n\n{prose}", ran("1", PRINTED)), tmp_path / "page.html")


def test_links_stay_links(tmp_path):
    vl.show.export(written(tmp_path, "# T\n\n[paper](https://arxiv.org)", ran("1", PRINTED)), tmp_path / "page.html")
    assert "https://arxiv.org" in [link.get("href") for link in Parsed(tmp_path / "page.html").all("a")]


def test_a_notebook_with_outputs_is_taken_as_it_is(tmp_path):
    bar = new_output("stream", name="stderr", text="\rwalk: 33%|###   | 8/24\nreal warning\n")
    script = shown({"application/javascript": "$('x')", "text/plain": "a script was here"})
    source = written(tmp_path, "# Title of *it*\n\nWhat for.", ran("raise SystemExit", PRINTED, bar, script))
    vl.show.export(source, tmp_path / "page.html")
    parsed = Parsed(tmp_path / "page.html")
    text = parsed.text("pre")
    assert "printed before" in text and "real warning" in text and "a script was here" in text and "33%" not in text
    assert parsed.text("title").strip() == "Title of it" and not parsed.all("script")


def test_widgets_of_a_saved_notebook_live_on_or_give_way_to_their_twin(tmp_path):
    first, second, slider = Counter(words=["one"]), Counter(words=["two"]), ipywidgets.IntSlider()
    of_all = first.get_manager_state(widgets=[first, second, slider])["state"]
    view = lambda model_id, **other: shown({VIEW: {"model_id": model_id}, "text/plain": "<Widget>", **other})
    lost = view("lost", **{"text/html": '<p>twin</p><img alt="twin" src="data:image/png;base64,AA==">'})
    outputs = [view(first.model_id), view(second.model_id), view(slider.model_id), lost]
    vl.show.export(written(tmp_path, "# T", ran("...", *outputs), widgets=of_all), tmp_path / "page.html")
    parsed = Parsed(tmp_path / "page.html")
    places = [attributes["data-widget"] for attributes in parsed.all("div") if "data-widget" in attributes]
    data = parsed.widgets()
    assert places == [first.model_id, second.model_id] and set(data["models"]) == set(places)
    assert sorted(data["texts"]) == sorted([Counter._esm, Counter._css])  # one copy serves both
    assert [picture["alt"] for picture in parsed.all("img")] == ["twin"]
    assert "<Widget>" not in parsed.text("pre") and "IntSlider" not in (tmp_path / "page.html").read_text()


def test_a_notebook_without_outputs_is_run_where_it_lies(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    source = """
        import os
        from counter import Counter
        print(os.path.basename(os.getcwd()), os.environ.get("VOS_LAB_FAST"))
        widget = Counter(words=["in the kernel"])
        widget.data = bytes([5, 6])
        widget"""
    (tmp_path / "lessons").mkdir()
    notebook = written(tmp_path / "lessons", "# T", new_code_cell("\n".join(line[8:] for line in source.splitlines())))
    before = notebook.read_bytes()
    monkeypatch.delenv("VOS_LAB_FAST", raising=False)
    vl.show.export(notebook, tmp_path / "page.html", fast=True)
    parsed = Parsed(tmp_path / "page.html")
    assert "lessons 1" in parsed.text("pre") and notebook.read_bytes() == before
    (model,) = parsed.widgets()["models"].values()
    assert model["state"]["words"] == ["in the kernel"]
    assert base64.b64decode({tuple(b["path"]): b["data"] for b in model["buffers"]}["data",]) == b"\x05\x06"


def test_a_notebook_that_fails_leaves_the_old_page_as_it_was(tmp_path):
    (tmp_path / "page.html").write_text("old")
    source = written(tmp_path, "# T", new_code_cell("1"), new_code_cell("1 / 0"), new_code_cell("1"))
    with pytest.raises(vl.InputError, match="lesson.ipynb' stopped at cell 3 with ZeroDivisionError"):
        vl.show.export(source, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == "old" and len([*tmp_path.iterdir()]) == 2


def test_the_policy_allows_nothing_from_elsewhere():
    assert not {"*", "http", "https", "'self'", "file"} & set(pages.POLICY.replace(":", " ").replace(";", " ").split())


def test_the_data_holds_no_character_that_ends_a_script():
    state = {"_esm": HOSTILE, "words": [HOSTILE], HOSTILE: np.pi}
    assert "<" not in pages.data_of({HOSTILE: {"state": state}})
