.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run test soak check lint format docs clean

help: ## Show what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

# A stamp per requirements file: installing again only when one of them changed.
$(VENV)/.run-stamp: requirements.txt constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

$(VENV)/.dev-stamp: requirements.txt requirements-dev.txt constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@ $(VENV)/.run-stamp

run: $(VENV)/.run-stamp ## Install what is needed and start the workbench (ARGS="--port 7861")
	$(BIN)/python app.py $(ARGS)

test: lint ## Lint, then every test but those of `make soak`, the browser's included
	$(BIN)/python tests/browser/install.py
	# A file stays in one process, which shares what it made; those with slow tests are first.
	# Three for two cores: a fifth of their time is spent on waiting for pages and processes.
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=25

soak: $(VENV)/.dev-stamp ## The long tests that `make test` leaves out: endurance, in an hour or so
	$(BIN)/python tests/browser/install.py
	$(BIN)/python -m pytest -m soak -n 2 --dist loadfile --durations=25

check: lint ## Lint, types and the fast tests
	$(BIN)/python -m pytest -m "not slow and not soak"

lint: $(VENV)/.dev-stamp ## Formatting, lint, types and code that is there twice
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pylint workbench ui storage

format: $(VENV)/.dev-stamp ## Format the code and fix what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.dev-stamp ## Write the reference page anew from the recipes
	$(BIN)/python -m workbench.reference docs/reference.md

clean: ## Remove caches (not your workspace)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
