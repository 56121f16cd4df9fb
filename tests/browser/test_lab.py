"""Notebooks in a real JupyterLab, in a real browser: opened, run from top to bottom, looked at."""

import os
from pathlib import Path

import pytest

NOTEBOOKS = sorted(path.name for path in Path(__file__).parents[2].glob("notebooks/*.ipynb"))


def screenshot(page, notebook, tmp_path):
    page.screenshot(path=Path(os.environ.get("SCREENSHOTS", tmp_path)) / f"{Path(notebook).stem}.png")


def test_the_first_notebook_runs_in_jupyterlab(run_all, tmp_path):
    with run_all("00_start_here.ipynb", height=9000) as page:  # tall, so that no cell is left out of the page
        screenshot(page, "00_start_here.ipynb", tmp_path)
        shown = page.inner_text(".jp-Notebook")
        assert "Traceback" not in shown
        assert "video: wrote and read back 5 frames" in shown and "J&F of copying the first mask: 0." in shown
        assert page.locator('.jp-Notebook img[alt^="Contact sheet"]').count() == 4
        assert page.locator(".jp-Notebook .jp-RenderedImage img").count() == 2  # the two affinity plots
        assert page.locator(".jp-Notebook table th >> text=J recall").count() == 1


@pytest.mark.long
@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_every_notebook_runs_in_jupyterlab(run_all, notebook, tmp_path):
    with run_all(notebook, height=14_000) as page:
        page.wait_for_timeout(2000)  # widgets draw themselves
        screenshot(page, notebook, tmp_path)
        assert "Traceback" not in page.inner_text(".jp-Notebook")
