"""The explorer in a real JupyterLab: opened, hovered, pinned, dragged, driven by keys, and read from Python."""

import re

import numpy as np
import pytest

import vos_lab as vl
from vos_lab.datasets import samples

MAKE = """
import vos_lab as vl
from vos_lab import show
from vos_lab.datasets import samples
track = vl.Tracker(vl.load_model("colour"), vl.EveryNth(2)).run(samples.load("look-alike")[:8], record=True)
made = show.AffinityExplorer(track, frame=7, cell=(20, 20))
made
"""
CHOOSE = "made.cell = (15, 25)"
PAINTED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
TELL = 'print("Python sees", made.cell, made.memory_cell, made.pinned, made.kind, made.without)'


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    """What Python computes: (memory cells, query cells)."""
    track = vl.Tracker(vl.load_model("colour"), vl.EveryNth(2)).run(samples.load("look-alike")[:8], record=True)
    return track.affinity(7)[0].numpy()


class Page:
    """The explorer on a page of JupyterLab, and a hand that works on it."""

    def __init__(self, page):
        self.page = page
        self.query = page.locator(".explorer .top canvas").first
        self.memory = page.locator(".explorer .strip canvas")

    def words(self) -> str:
        self.page.wait_for_timeout(150)
        self.page.evaluate(PAINTED)  # a busy machine may need longer
        cell = self.page.locator(".explorer .magnifiers figcaption").first
        return f"{self.page.inner_text('.explorer .words')} | {cell.inner_text()}"

    def middle_of(self, canvas, row, column) -> tuple[float, float]:
        """Where a cell of 8x8 pixels lies on the screen, in a frame 432 pixels wide."""
        box = canvas.bounding_box()
        return tuple(corner + (8 * i + 4) * box["width"] / 432 for corner, i in ((box["x"], column), (box["y"], row)))

    def hover(self, canvas, row, column) -> str:
        self.page.mouse.move(*self.middle_of(canvas, row, column))
        return self.words()

    def key(self, *names) -> str:
        for name in names:
            self.page.keyboard.press(name)
        return self.words()

    def python(self) -> str:
        """Run the last cell once more; what it prints."""
        self.page.wait_for_timeout(400)  # choices are sent once the hand rests
        code = self.page.locator(".jp-CodeCell").last
        number = code.locator(".jp-InputPrompt").inner_text()
        code.locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_function(
            """number => { const cells = [...document.querySelectorAll('.jp-CodeCell')];
            const now = cells.at(-1).querySelector('.jp-InputPrompt').textContent;
            return now !== number && !now.includes('*'); }""",
            arg=number,
        )
        return code.locator(".jp-OutputArea-output").last.inner_text().strip()


def test_the_explorer_in_jupyterlab(opened, expected, shots):
    with opened("explorer.ipynb", MAKE, CHOOSE, TELL, height=1600) as page:
        page.wait_for_selector(".explorer .words:not(:empty)")
        it = Page(page)

        # what Python chose is shown, and is what Python computes
        assert "row 15, column 25" in it.words() and "Python sees (15, 25) None False l2 []" in page.inner_text(".jp-Notebook")
        weights = page.evaluate("() => [...document.querySelector('.explorer').affinity(15, 25)]")
        assert np.abs(np.array(weights) - expected[:, 15 * 54 + 25]).max() < 1e-3
        parts = [
            int(text.split(": ")[1].rstrip(" %")) for text in page.locator(".explorer .strip figcaption").all_inner_texts()
        ]
        assert np.allclose(parts, 100 * expected[:, 15 * 54 + 25].reshape(4, -1).sum(1), atol=1)
        page.screenshot(path=shots / "explorer.png")

        # hover, pin, let go
        first = it.hover(it.query, 3, 5)
        assert "row 3, column 5" in first and re.search(r"This .*cell.* reads .*\d+ %.*; false: ", first)
        assert it.hover(it.query, 12, 30).split("|")[0] != first.split("|")[0]
        page.mouse.click(*it.middle_of(it.query, 10, 10))
        assert "row 10, column 10" in it.hover(it.query, 20, 40) and "Pinned" in page.inner_text(".explorer .side .hint")
        assert it.python() == "Python sees (10, 10) None True l2 []"
        page.mouse.click(*it.middle_of(it.query, 10, 10))
        assert "row 20, column 41" in it.hover(it.query, 20, 41)

        # drag: the cell follows, and stays where the hand lets go
        page.mouse.move(*it.middle_of(it.query, 5, 5))
        page.mouse.down()
        assert "row 7, column 9" in it.hover(it.query, 7, 9)
        assert "row 9, column 14" in it.hover(it.query, 9, 14)
        page.mouse.up()
        assert "row 9, column 14" in it.hover(it.query, 22, 22)

        # keys move the cell and not JupyterLab's selection
        assert "row 11, column 13" in it.key("ArrowDown", "ArrowDown", "ArrowLeft")
        it.key("Escape")
        assert it.python() == "Python sees (11, 13) None False l2 []"

        # the other way round
        said = it.hover(it.memory.nth(1), 15, 25)
        assert "is read by" in said and "frame 2, row 15, column 25" in said
        page.wait_for_function("() => !document.querySelector('.explorer .side .hint').textContent.includes('so far')")
        gives = float(re.search(r"it gets ([\d.]+)", page.inner_text(".explorer .side .hint"))[1])
        assert gives == pytest.approx(expected[1620 + 15 * 54 + 25].sum(), abs=0.006)
        assert it.python() == "Python sees (11, 13) (2, 15, 25) False l2 []"

        # settings
        it.hover(it.query, 15, 25)
        parts = page.locator(".explorer .strip figcaption")
        before = parts.all_inner_texts()
        page.locator(".explorer select").select_option("dot")
        it.words()
        assert parts.all_inner_texts() != before
        page.locator(".explorer .strip input[type=checkbox]").nth(3).uncheck()
        it.words()
        assert "switched off" in parts.nth(3).inner_text()
        assert it.python() == "Python sees (15, 25) None False dot [6]"
        page.click("text=back to how the tracker read")
        it.words()
        assert parts.all_inner_texts() == before

        # closed: nothing is left on the page, and nobody listens any more
        page.locator(".jp-CodeCell").first.click()
        page.click(".lm-MenuBar-itemLabel >> text=/^Edit$/")
        page.click("text=Clear Cell Output")
        page.wait_for_selector(".explorer", state="detached")
        page.wait_for_timeout(200)
