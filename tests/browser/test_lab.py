"""The first notebook in a real JupyterLab, in a real browser: opened, run from top to bottom, looked at."""

import os
from pathlib import Path


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
