"""The first notebook in a real JupyterLab, in a real browser: opened, run from top to bottom, looked at."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# the first cell has a number and no cell is waiting: all have run, or one has failed and stopped the rest
FINISHED = """() => {
    const prompts = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell .jp-InputPrompt')].map(p => p.textContent);
    return prompts.length && /\\d/.test(prompts[0]) && !prompts.some(text => text.includes('*'));
}"""


@pytest.fixture(scope="session")
def browser():
    """Debian's chromium. Without it these tests are skipped, but not on CI: there they fail."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None and not os.environ.get("CI"):
        pytest.skip("no chromium on this machine")
    from playwright.sync_api import sync_playwright

    quiet = ["--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu", *quiet])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the notebooks, beside the data, on a free port; its address."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    shutil.copytree(ROOT / "data", folder / "data")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = ["--no-browser", "--allow-root", f"--port={port}", "--IdentityProvider.token=", "--LabApp.news_url="]
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyter", "lab", *settings],
            cwd=folder,
            stdout=log,
            stderr=log,
            env={**os.environ, "VOS_LAB_FAST": "1"},
        )
    address = f"http://127.0.0.1:{port}"
    for _ in range(120):
        try:
            urllib.request.urlopen(f"{address}/api", timeout=1)
            break
        except OSError:
            time.sleep(0.5)
    yield address
    server.terminate()
    server.wait(10)


def run_all(page, address: str, notebook: str) -> None:
    """Open a notebook and wait until its last code cell has run."""
    page.goto(f"{address}/lab/tree/notebooks/{notebook}?reset")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
    page.wait_for_selector("text=/Python 3.* \\| Idle/", timeout=60_000)
    page.click(".lm-MenuBar-itemLabel >> text=/^Run$/")
    page.click("text=Run All Cells")
    page.wait_for_function(FINISHED, timeout=240_000)


def test_the_first_notebook_runs_in_jupyterlab(browser, lab, tmp_path):
    page = browser.new_page(viewport={"width": 1300, "height": 9000})  # tall, so that no cell is left out of the page
    page.set_default_timeout(60_000)
    run_all(page, lab, "00_start_here.ipynb")
    shown = page.inner_text(".jp-Notebook")
    shot = Path(os.environ.get("SCREENSHOTS", tmp_path)) / "00_start_here.png"
    page.screenshot(path=shot)
    assert "Traceback" not in shown
    assert "video: wrote and read back 5 frames" in shown and "J&F of copying the first mask: 0." in shown
    assert page.locator('.jp-Notebook img[alt^="Contact sheet"]').count() == 4
    assert page.locator(".jp-Notebook .jp-RenderedImage img").count() == 2  # the two affinity plots
    assert page.locator(".jp-Notebook table th >> text=J recall").count() == 1
    page.close()
