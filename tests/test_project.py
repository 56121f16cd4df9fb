"""What stands beside the code says what is so: README, pyproject.toml, environment.yml, Makefile, workflow."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from vos_lab import InputError, World, cli
from vos_lab.masks import write_mask
from vos_lab.show import address
from vos_lab.video import write_video

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = SETTINGS["project"]
README = (ROOT / "README.md").read_text()
# the name that is imported, where it is not the name of the package
IMPORTED_AS = {"pillow": "PIL", "pyyaml": "yaml", "scikit-image": "skimage", "opencv-contrib-python-headless": "cv2"}
# these come with JupyterLab and nbconvert
BROUGHT = {"vos_lab", "IPython", "bs4", "jupyter_client", "markupsafe", "nbformat", "pygments", "traitlets"}
OPTIONAL = {"nbgrader"}  # an extra


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def test_conda_takes_its_packages_from_pyproject_and_adds_none():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    python, pip, packages = conda
    assert pip == "pip" and packages == {"pip": ["-e ."]}
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert [int(x) for x in python.removeprefix("python=").split(".")] >= [int(x) for x in oldest.split(".")]


def test_what_mypy_is_told_of_single_modules_is_told_of_modules_that_are_there():
    for override in SETTINGS["tool"]["mypy"]["overrides"]:
        for module in [override["module"]] if isinstance(override["module"], str) else override["module"]:
            path = ROOT / module.removesuffix(".*").replace(".", "/")
            assert path.is_dir() if module.endswith(".*") else path.with_suffix(".py").is_file(), module


def test_every_import_is_of_a_declared_package():
    declared = {re.match(r"[A-Za-z0-9_.-]+", line)[0].lower() for line in PROJECT["dependencies"]}
    names = {IMPORTED_AS.get(name, name.replace("-", "_")) for name in declared}
    for path in (ROOT / "vos_lab").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module]
            for module in modules:
                top = module.split(".")[0]
                known = top in names | OPTIONAL | BROUGHT
                assert known or top in sys.stdlib_module_names, f"{path}: {top}"


def test_the_readme_python_runs(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    assert len(blocks("python")) == 2
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {"__name__": "readme"})


@pytest.mark.parametrize("line", [line for block in blocks("bash") for line in block.splitlines()])
def test_the_readme_commands_are_commands(line):
    words = shlex.split(line, comments=True)
    if words[0] == "make":
        subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)
    elif words[0] == "vos-lab":
        assert callable(cli.parse(words[1:]).run)
    else:  # how to set up by hand: what the Makefile does
        rule = subprocess.run(["make", "-nB", "lab", "test"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
        assert line.split()[-1].strip('"') in rule or "venv" in line


def test_the_readme_commands_on_videos_and_trees_run_one_after_the_other(tmp_path, monkeypatch):
    """As they stand there, where a video, its first mask and a tree have the names that they have there."""
    monkeypatch.chdir(tmp_path)
    clip = World(0).clip(4, (48, 80), name="bear")
    clip.save("DAVIS")
    listing = Path("DAVIS/ImageSets/2017/val.txt")
    listing.parent.mkdir(parents=True)
    listing.write_text("bear")
    write_video("my_video.mp4", clip.frames)
    write_mask("first_frame.png", clip.masks[0])
    lines = [shlex.split(line, comments=True)[1:] for block in blocks("bash") for line in block.splitlines()]
    ran = [words[0] for words in lines if words and words[0] in ("segment", "track", "evaluate") and cli.main(words) == 0]
    assert ran == ["segment", "segment", "track", "evaluate"]
    written = [
        "results/my_video/00003.png",
        "results/bear/00003.png",
        "results-davis/bear/00003.png",
        "results-davis/scores.csv",
    ]
    assert all(Path(path).is_file() for path in written)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "data/README.md", "notebooks/labs/README.md"])
def test_links_lead_somewhere(name):
    text = (ROOT / name).read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert (ROOT / name).parent.joinpath(target).exists(), target


def test_all_notebooks_are_on_the_path():
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"(notebooks/{notebook.name})" in README


def test_the_workflow_tries_the_oldest_and_the_newest():
    matrix = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]["test"]["strategy"]["matrix"]
    assert f">={matrix['python'][0]}" == PROJECT["requires-python"]
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    oldest = matrix["include"][0]["torch"].split()
    wanted = {re.match(r"[a-z]+", x)[0]: x.split(">=")[1] for x in PROJECT["dependencies"][:3]}
    for package in oldest:
        name, version = package.split("==")
        assert version.startswith(wanted[name]), package


def test_the_address_of_a_fork_goes_into_all_links_and_notebooks(tmp_path):
    for path in (ROOT / "README.md", *(ROOT / "notebooks").glob("*.ipynb")):
        (tmp_path / path.name).write_text(path.read_text())
    address.write("you/a.fork", list(tmp_path.iterdir()))
    for path in tmp_path.iterdir():
        text = path.read_text()
        assert "you/a.fork" in text and "OWNER/" not in text
        if path.suffix == ".ipynb":
            nbformat.validate(nbformat.reads(text, as_version=4))
    assert (tmp_path / "README.md").read_text().count("you/a.fork") == 2
    address.write("again/vos_lab", list(tmp_path.iterdir()))
    assert all("you/a.fork" not in path.read_text() for path in tmp_path.iterdir())


def test_what_is_no_address_is_refused_and_nothing_is_written(tmp_path):
    (tmp_path / "a.md").write_text("git+https://github.com/OWNER/vos_lab")
    (tmp_path / "b.md").write_text("no link")
    for repository, files, says in (("https://x.y", ["a.md"], "wanted OWNER/NAME"), ("a/b", ["a.md", "b.md"], "b.md: no link")):
        with pytest.raises(InputError, match=says):
            address.write(repository, [tmp_path / name for name in files])
    assert "OWNER" in (tmp_path / "a.md").read_text()
