"""A real JupyterLab and a real browser for the tests in this folder."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
# the first cell has a number and no cell is waiting: all have run, or one has failed and stopped the rest
FINISHED = """() => {
    const prompts = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell .jp-InputPrompt')].map(p => p.textContent);
    return prompts.length && /\\d/.test(prompts[0]) && !prompts.some(text => text.includes('*'));
}"""


@dataclass
class Lab:
    address: str
    folder: Path  # that it serves: notebooks/ and data/

    def notebook(self, name: str, *cells: str) -> str:
        """Write a notebook with these code cells; its name."""
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
        nbformat.write(made, self.folder / "notebooks" / name)
        return name


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


@pytest.fixture
def shots(tmp_path) -> Path:
    """Where screenshots go: the folder that SCREENSHOTS names, to look at them, or nowhere that lasts."""
    return Path(os.environ.get("SCREENSHOTS", tmp_path))


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the notebooks, beside the data, on a free port."""
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
            # a home of its own: a user's layout stays, and no two servers read each other's half-written workspace (500)
            env={**os.environ, "VOS_LAB_FAST": "1", "JUPYTER_CONFIG_DIR": str(folder / "config")},
        )
    address = f"http://127.0.0.1:{port}"
    for _ in range(120):
        try:
            urllib.request.urlopen(f"{address}/api", timeout=1)
            break
        except OSError:
            time.sleep(0.5)
    yield Lab(address, folder)
    server.terminate()
    server.wait(60)


@pytest.fixture(scope="session")
def run_all(browser, lab) -> Callable:
    """with run_all("name.ipynb", height=1300) as page: run in JupyterLab to the end, and no error in its console."""

    @contextmanager
    def run(notebook: str, height: int) -> Iterator:
        page = browser.new_page(viewport={"width": 1300, "height": height})
        page.set_default_timeout(120_000)
        errors = []
        page.on("pageerror", lambda error: errors.append(error.stack))
        page.on("console", lambda said: errors.append((said.text, said.location["url"])) if said.type == "error" else None)
        page.goto(f"{lab.address}/lab/tree/notebooks/{notebook}?reset")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        page.wait_for_selector("text=/Python 3.* \\| Idle/")
        page.click(".lm-MenuBar-itemLabel >> text=/^Run$/")
        page.click("text=Run All Cells")
        page.wait_for_function(FINISHED, timeout=480_000)
        yield page
        assert not errors
        page.close()

    return run


@pytest.fixture(scope="session")
def opened(lab, run_all) -> Callable:
    """with opened("name.ipynb", *cells, height=1300) as page: the same for a notebook of these code cells."""
    return lambda name, *cells, height: run_all(lab.notebook(name, *cells), height)
