"""Notebooks in a real JupyterLab, in a real browser: opened, run from top to bottom, looked at."""

import os
from pathlib import Path

import pytest

NOTEBOOKS = sorted(path.name for path in Path(__file__).parents[2].glob("notebooks/*.ipynb"))


def test_the_first_notebook_runs_in_jupyterlab(browser, run_all, tmp_path):
    page = browser.new_page(viewport={"width": 1300, "height": 9000})  # tall, so that no cell is left out of the page
    page.set_default_timeout(120_000)
    run_all(page, "00_start_here.ipynb")
    shown = page.inner_text(".jp-Notebook")
    shot = Path(os.environ.get("SCREENSHOTS", tmp_path)) / "00_start_here.png"
    page.screenshot(path=shot)
    assert "Traceback" not in shown
    assert "video: wrote and read back 5 frames" in shown and "J&F of copying the first mask: 0." in shown
    assert page.locator('.jp-Notebook img[alt^="Contact sheet"]').count() == 4
    assert page.locator(".jp-Notebook .jp-RenderedImage img").count() == 2  # the two affinity plots
    assert page.locator(".jp-Notebook table th >> text=J recall").count() == 1
    page.close()


@pytest.mark.long
@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_every_notebook_runs_in_jupyterlab(browser, run_all, notebook, tmp_path):
    page = browser.new_page(viewport={"width": 1300, "height": 14_000})
    page.set_default_timeout(120_000)
    said = []
    page.on("pageerror", lambda error: said.append(error.stack))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    run_all(page, notebook)
    page.wait_for_timeout(2000)  # widgets draw themselves
    page.screenshot(path=Path(os.environ.get("SCREENSHOTS", tmp_path)) / f"{Path(notebook).stem}.png")
    assert "Traceback" not in page.inner_text(".jp-Notebook")
    assert not said
    page.close()
