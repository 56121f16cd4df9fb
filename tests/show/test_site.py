"""The gallery: one page per notebook that ran, an index with pictures, and a sentence for each that did not."""

import base64
import html
import io
import subprocess
import sys

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from parsed import Parsed
from PIL import Image

import vos_lab as vl
from vos_lab.show import site

PICTURE = "from IPython.display import display; from PIL import Image; display(Image.new('RGB', (900, 300), 'red'))"


def lesson(folder, name, title, source):
    prose = f"# {title}\n\n**You will** see {name}.\n\nGo on with [the next](02_c.ipynb), [a far one](09_z.ipynb)."
    notebook = new_notebook(cells=[new_markdown_cell(prose), new_code_cell(source)])
    nbformat.write(notebook, folder / f"{name}.ipynb")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A site of three notebooks, of which the second fails, and what the command said."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "notebooks").mkdir()
    lesson(folder / "notebooks", "00_a", "00 · A <b>&amp;</b> B", PICTURE)
    lesson(folder / "notebooks", "01_b", "01 · Fails", "1 / 0")
    lesson(folder / "notebooks", "02_c", "02 · C", "print('no picture')")
    command = [sys.executable, "-m", "vos_lab.show.site", folder / "notebooks", folder / "site"]
    return folder / "site", subprocess.run(command, capture_output=True, text=True)


def test_one_failed_notebook_gives_a_sentence_and_the_others_are_done(built):
    folder, finished = built
    assert finished.returncode == 1
    assert "01_b.ipynb' stopped at cell 2 with ZeroDivisionError" in finished.stderr and "Traceback" not in finished.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["00_a.html", "02_c.html", "api", "index.html"]


def test_the_index_has_title_sentence_and_picture_of_each(built):
    parsed = Parsed(built[0] / "index.html")
    assert [link["href"] for link in parsed.all("a")] == ["00_a.html", "02_c.html", "api/vos_lab.html"]
    assert parsed.text("h2") == "00 · A & B02 · C" and "You will see 00_a." in parsed.text("p")
    (picture,) = parsed.all("img")
    assert picture["src"].startswith("data:image/jpeg") and parsed.loads() == []


def test_public_names_stand_with_their_docstrings(built):
    text = (built[0] / "api" / "vos_lab" / "memory.html").read_text()
    assert "affinity" in text and html.escape(vl.memory.similarity.__doc__.split("\n")[0], quote=False) in text
    assert (built[0] / "api" / "vos_lab" / "training.html").exists()


def test_pages_lead_to_their_neighbours_and_to_each_other(built):
    first, last = (Parsed(built[0] / name) for name in ("00_a.html", "02_c.html"))
    assert [link["href"] for link in first.all("a") if link.get("rel") == "next"] == ["02_c.html"] * 2
    assert [link["href"] for link in last.all("a") if link.get("rel") == "prev"] == ["00_a.html"] * 2
    links = [link.get("href") for link in first.all("a")]
    assert "index.html" in links and "02_c.html" in links and "09_z.ipynb" in links
    assert first.text("title").strip() == "00 · A & B" and first.loads() == last.loads() == []


def test_a_folder_of_other_things_is_not_replaced(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.txt").write_text("mine")
    lesson(tmp_path, "00_a", "A", "1")
    with pytest.raises(vl.InputError, match="out: .*work"):
        site.build(tmp_path, tmp_path / "work")
    with pytest.raises(vl.InputError, match="folder: .*holds no notebook"):
        site.build(tmp_path / "work", tmp_path / "site")


def test_the_thumbnail_is_the_first_picture_on_white():
    clear = Image.new("RGBA", (900, 300), (0, 0, 0, 0))
    file = io.BytesIO()
    clear.save(file, "PNG")
    sent = base64.b64encode(file.getvalue()).decode()
    html = new_output("display_data", data={"text/html": f'<p>a</p><img alt="a" src="data:image/png;base64,{sent}">'})
    notebook = new_notebook(cells=[new_markdown_cell("# T"), new_code_cell("1"), new_code_cell("2", outputs=[html])])
    small = Image.open(io.BytesIO(base64.b64decode(site.thumbnail(notebook).split(",")[1])))
    assert small.size == (480, 160) and np.asarray(small).min() > 250
    assert site.thumbnail(new_notebook()) is None
