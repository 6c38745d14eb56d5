# Two commands do everything: `make study` and `make test`. Each sets up .venv by itself.
PYTHON ?= python3
STUDY ?= digits
EFFORT ?= default
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help study test check lab bench clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10
	@echo "STUDY=$(STUDY) (a name in notebooks/studies, or a path) and EFFORT=$(EFFORT) (smoke, default, full) choose what make study runs."

study: $(READY)  ## train what is missing, execute the notebooks, build the report
	$(BIN)/imagestudy run --study '$(STUDY)' --effort '$(EFFORT)'

test: $(READY)  ## every test
	$(BIN)/python -m pytest -n 2 --dist loadscope -q

check: $(READY)  ## format, lint (notebooks too), types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

lab: $(READY)  ## JupyterLab on the notebooks
	$(BIN)/jupyter lab notebooks

bench: $(READY)  ## training speed, as ratios within one run
	$(BIN)/imagestudy bench

clean:  ## remove the environment; data and results stay
	rm -rf .venv

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "imagestudy needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0])'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,tensorflow]'
	@touch $@
