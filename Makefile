# The two commands: `make lab` and `make test`. Each first sets up .venv, and again only when pyproject.toml has changed.
# JOBS: processes that test or grade side by side.
PYTHON ?= python3
LAB_OPTIONS ?=
JOBS ?= 2
BIN := .venv/bin

.PHONY: lab test test-long site time-notebooks address coverage mutants samples picture labs grade

lab: .venv/ready
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB_OPTIONS) notebooks/00_start_here.ipynb

test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS)

test-long: .venv/ready
	$(BIN)/python -m pytest -m long
	VOS_LAB_CASES=200 $(BIN)/python -m pytest tests/properties

# All notebooks, run and turned into pages, and all public names: open site/index.html. VOS_LAB_FAST=1 takes fewer steps.
site: .venv/ready
	$(BIN)/python -m vos_lab.show.site notebooks site

# Runs notebooks in full and writes their minutes into them and into the README, on an idle machine; some: NOTEBOOKS="07 11".
time-notebooks: .venv/ready
	$(BIN)/python -m vos_lab.show.times notebooks README.md $(NOTEBOOKS)

# Where this repository lies, for the links to Binder and Colab: make address REPOSITORY=you/vos_lab
address: .venv/ready
	$(BIN)/python -m vos_lab.show.address $(REPOSITORY) README.md notebooks/*.ipynb

# How much of the code the tests run, and which small changes to its heart they notice (hours; goes on where it stopped).
coverage: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --cov=vos_lab --cov-report=term --cov-fail-under=90

mutants: .venv/ready
	$(BIN)/python -m pip install -q "mutmut>=3.8"
	OMP_NUM_THREADS=1 $(BIN)/python -m mutmut run --max-children $(JOBS)
	$(BIN)/python tests/mutants.py

# Labs for a course (notebooks/labs/README.md): the students' versions, and the grades. make grade LAB=lab1 JOBS=4 FORCE=1
labs: .venv/ready
	$(BIN)/python -m vos_lab.labs release $(LAB)

grade: .venv/ready
	$(BIN)/python -m vos_lab.labs grade $(LAB) --jobs $(JOBS) $(if $(FORCE),--force)

samples: .venv/ready
	$(BIN)/python -m vos_lab.datasets.samples

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --upgrade pip
	$(BIN)/python -m pip install -e ".[test]"
	touch $@

# The picture in the README: a sample clip, tracked from its first mask.
picture: .venv/ready
	$(BIN)/python -c "import vos_lab as vl; clip = vl.Clip.load('data/samples/JPEGImages/480p/walk', short_side=160); track = vl.Tracker(vl.load_model('colour')).run(clip); vl.Clip(clip.frames, track.masks, fps=8).save_overlay('data/pictures/walk.gif')"
