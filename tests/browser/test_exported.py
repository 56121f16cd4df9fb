"""Exported pages in a real browser: opened from disk, network off, they answer the hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from counter import Counter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, writes

import vos_lab as vl

VIEW, STATE = "application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json"


@pytest.fixture
def opened(browser, shots):
    """opened(file): the page from disk. Afterwards: nothing was asked of a network, and the console is empty."""

    @contextmanager
    def open_file(file: Path) -> Iterator:
        context = browser.new_context(viewport={"width": 1200, "height": 900})
        context.set_offline(True)
        context.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file://") else route.abort())
        said, asked = [], []
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        yield page
        page.screenshot(path=shots / f"{file.stem}.png", full_page=True)
        assert not said
        assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [file.as_uri()]
        context.close()

    return open_file


def test_a_widget_answers_from_disk(opened, tmp_path):
    file = vl.show.export(Counter(words=["</script><b>bold</b>"]), tmp_path / "counter.html")
    with opened(file) as page:
        button = page.locator("button")
        assert page.locator("main p").inner_text() == "</script><b>bold</b> 0 255 inside: 7 8 9 started 1"
        assert button.evaluate("node => getComputedStyle(node).color") == "rgb(1, 2, 3)"
        button.click()
        assert button.inner_text() == "clicked 1 times"
        button.click()
        button.click()  # now it has let go of the model: off
        assert button.inner_text() == "clicked 2 times"


def test_a_notebook_unfolds_and_its_widgets_share_their_model(opened, tmp_path):
    first, second = Counter(words=["first"]), Counter(words=["second"])
    view = lambda widget: new_output("display_data", data={VIEW: {"model_id": widget.model_id}})
    cell = new_code_cell("...", outputs=[view(first), view(first), view(second)])
    prose = "# Formulas\n\nInline $k^2$.\n\n$$A_{ij} = \\frac{e^{s_{ij}}}{\\sum_{i'} e^{s_{i'j}}}$$\n\n"
    prose += "<details><summary>Hint</summary>\n\nunfolded $h$\n\n</details>"
    notebook = new_notebook(cells=[new_markdown_cell(prose), cell])
    saved = first.get_manager_state(widgets=[first, second])
    left_over = {"encoding": "base64", "path": ["pictures", 5], "data": "AA=="}  # of a longer list, as nbclient keeps it
    saved["state"][first.model_id]["buffers"].append(left_over)
    notebook.metadata["widgets"] = {STATE: saved}
    (tmp_path / "lesson.ipynb").write_text(writes(notebook))
    with opened(vl.show.export(tmp_path / "lesson.ipynb", tmp_path / "lesson.html")) as page:
        buttons = page.locator("button")
        assert buttons.count() == 3
        assert "inside: 7 8 9 started" in page.locator(".output p").first.inner_text()
        buttons.nth(0).click()
        assert buttons.all_inner_texts() == ["clicked 1 times", "clicked 1 times", "clicked 0 times"]
        assert [text.split()[-1] for text in page.locator(".output p").all_inner_texts()] == [
            "1",
            "1",
            "1",
        ]  # started once each
        formula = page.locator("math[display=block]").bounding_box()
        line = page.locator("p math").first.bounding_box()
        assert formula["height"] > 1.5 * line["height"] > 0  # a fraction stands two lines tall: it is drawn, not spelled out
        assert not page.get_by_text("unfolded").is_visible()
        page.click("summary")
        assert page.get_by_text("unfolded").is_visible()


def test_a_broken_widget_says_so_and_the_others_go_on(browser, tmp_path):
    class Broken(Counter):
        _esm = "export default { render() { throw new Error('<b>no canvas</b>'); } }"

    first, second = Broken(), Counter()
    view = lambda widget: new_output("display_data", data={VIEW: {"model_id": widget.model_id}})
    notebook = new_notebook(cells=[new_code_cell("...", outputs=[view(first), view(second)])])
    notebook.metadata["widgets"] = {STATE: first.get_manager_state(widgets=[first, second])}
    (tmp_path / "lesson.ipynb").write_text(writes(notebook))
    page = browser.new_page()
    page.goto(vl.show.export(tmp_path / "lesson.ipynb", tmp_path / "lesson.html").as_uri())
    page.locator("button").click()
    assert page.locator("button").inner_text() == "clicked 1 times"
    assert page.get_by_text("could not be started in this browser: <b>no canvas</b>").is_visible()
    page.close()


def test_the_policy_stops_what_a_widget_tries_to_fetch(browser, tmp_path):
    class Curious(Counter):
        _esm = """export default { async render({ el }) {
            try { await fetch("https://example.org/"); } catch (error) { el.append("stopped"); } } }"""

    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(vl.show.export(Curious(), tmp_path / "page.html").as_uri())
    page.get_by_text("stopped").wait_for(timeout=10_000)
    assert not [url for url in asked if url.startswith("http")]
    page.close()


@pytest.fixture(scope="module")
def track():
    clip = vl.World(seed=3, similarity=0.9, distractors=2).clip(length=6, size=(120, 216), objects=2)
    return vl.Tracker(vl.load_model("colour"), vl.EveryNth(2)).run(clip, record=True)


def test_the_explorer_works_from_disk(opened, track, tmp_path):
    with opened(vl.show.export(vl.show.AffinityExplorer(track, frame=5), tmp_path / "explorer.html")) as page:
        words, canvas = page.locator(".words").first, page.locator("canvas").first
        before = words.inner_text()
        canvas.hover(position={"x": 12, "y": 12})
        page.wait_for_function("text => document.querySelector('.words').innerText !== text", arg=before)
        canvas.click(position={"x": 12, "y": 12})
        pinned = words.inner_text()
        canvas.hover(position={"x": 120, "y": 60})
        page.wait_for_timeout(200)
        assert words.inner_text() == pinned


def test_the_atlas_works_from_disk(opened, track, tmp_path):
    with opened(vl.show.export(vl.show.FalseMatchAtlas(track), tmp_path / "atlas.html")) as page:
        before = page.locator("main").inner_text()
        page.locator("select").first.select_option(index=1)
        assert page.locator("main").inner_text() != before


def test_the_player_works_from_disk(opened, track, tmp_path):
    with opened(vl.show.export(vl.show.TrackPlayer(track), tmp_path / "player.html")) as page:
        before = page.locator("main").inner_text()
        page.get_by_label("one frame on").click()
        assert page.locator("main").inner_text() != before


# Moves a pointer over a canvas from cell to cell; of each move the milliseconds of work, and until the new picture was there.
SWEEP = """async ([canvas, count]) => {
    const next = window.requestAnimationFrame.bind(window), { x, y, width, height } = canvas.getBoundingClientRect();
    const waits = [], now = () => performance.now();
    let work = 0;
    window.requestAnimationFrame = (paint) => next((time) => {
        const began = now();
        paint(time);
        work = now() - began;
    });
    for (let i = 0; i < count; i++) {
        const began = now(), across = ((37 * i) % 100 + 0.5) / 100, down = ((61 * i) % 100 + 0.5) / 100;
        const event = { clientX: x + width * across, clientY: y + height * down, bubbles: true };
        canvas.dispatchEvent(new PointerEvent("pointermove", event));
        await new Promise((done) => next(() => setTimeout(done, 0)));
        waits.push([work, now() - began]);
    }
    window.requestAnimationFrame = next;
    return waits;
}"""


@pytest.mark.long
def test_the_explorer_follows_the_hand(opened, tmp_path):
    """With the memory that is promised: 8 frames of 30x54 cells, 64 channels. How long it takes is printed, and not tested."""
    clip = vl.datasets.samples.load("walk")[::3]
    track = vl.Tracker(vl.load_model("stcn-small"), vl.EveryNth(1)).run(clip[:9], record=True)
    explorer = vl.show.AffinityExplorer(track, frame=len(clip[:9]) - 1)
    with opened(vl.show.export(explorer, tmp_path / "explorer-speed.html")) as page:
        query = page.locator(".explorer .top canvas").first
        strip = page.locator(".explorer .strip canvas").first
        page.wait_for_selector(".explorer .words:not(:empty)")
        page.wait_for_timeout(8000)  # it counts the other way round ahead
        told, words = {}, [page.inner_text(".explorer .words")]

        def sweep(name: str, canvas, count: int) -> None:
            told[name] = page.evaluate(SWEEP, [canvas.element_handle(), count])
            words.append(page.inner_text(".explorer .words"))
            assert words[-1] != words[-2], f"{name}: the words follow"

        sweep("hovering", query, 300)
        sweep("the other way round", strip, 100)
        query.hover()
        page.mouse.down()
        sweep("dragging", query, 299)
        page.mouse.up()
    for name, waits in told.items():
        work, whole = (sorted(column) for column in zip(*waits))
        tell = lambda x: f"{x[len(x) // 2]:.1f} ms, p95 {x[int(0.95 * len(x))]:.1f} ms"
        print(f"{name}: work {tell(work)}; move to picture {tell(whole)}")
