"""Notebooks in a real JupyterLab, in a real browser: opened, run from top to bottom, looked at."""

from pathlib import Path

import pytest

NOTEBOOKS = sorted(path.name for path in Path(__file__).parents[2].glob("notebooks/*.ipynb"))


def test_the_first_notebook_runs_in_jupyterlab(run_all, shots):
    with run_all("00_start_here.ipynb", height=9000) as page:  # tall, so that no cell is left out of the page
        page.screenshot(path=shots / "00_start_here.png")
        shown = page.inner_text(".jp-Notebook")
        assert "Traceback" not in shown
        assert "video: wrote and read back 5 frames" in shown and "J&F of copying the first mask: 0." in shown
        assert page.locator('.jp-Notebook img[alt^="Contact sheet"]').count() == 4
        assert page.locator(".jp-Notebook .jp-RenderedImage img").count() == 2  # the two affinity plots
        assert page.locator(".jp-Notebook table th >> text=J recall").count() == 1


@pytest.mark.long
@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_every_notebook_runs_in_jupyterlab(run_all, notebook, shots):
    with run_all(notebook, height=14_000) as page:
        page.wait_for_timeout(2000)  # widgets draw themselves
        page.screenshot(path=shots / f"{Path(notebook).stem}.png")
        assert "Traceback" not in page.inner_text(".jp-Notebook")
