# A machine with Python 3.11 or newer, pip and make needs nothing else: each target makes .venv itself.
# Settings: PYTHON=python3.12 chooses the interpreter, ARGS="..." goes to pytest or to the demo.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
INSTALLED := .venv/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
SOURCES := conftest.py docs hub metalearn plugins registry tests

.DEFAULT_GOAL := help
.PHONY: help demo test check docs format clean check-format check-lint check-types check-imports \
	check-docs check-dockerfile

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## solve few-shot tasks with a small library and write a report (5 minutes)
	$(BIN)/metaloom demo $(ARGS)

test: $(INSTALLED) ## run the tests (10 minutes at most, two processes)
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

check: check-format check-lint check-imports check-dockerfile check-docs check-types ## formatting, lint, types, layers, documents, Dockerfile
	@echo "make check: all good"

docs: check-docs ## run the documents' examples and render them to site/
	$(BIN)/python docs/build.py site

format: $(INSTALLED) ## put the sources in the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove .venv and everything that was built
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist site

check-format: $(INSTALLED)
	$(BIN)/ruff format --check .

check-lint: $(INSTALLED)
	$(BIN)/ruff check --output-format concise .

check-types: $(INSTALLED)
	$(BIN)/mypy

check-imports: $(INSTALLED)
	$(BIN)/lint-imports --no-logo

check-docs: $(INSTALLED)
	$(BIN)/python -m pytest -q -n 2 --dist loadfile README.md CONTRIBUTING.md docs

check-dockerfile: $(INSTALLED)
	$(BIN)/hadolint Dockerfile

# `python -m venv` keeps a .venv that is there; pip then changes only what the pins ask for.
# learn2learn compiles on Python 3.11 and newer only where Cython writes its C anew, and asks for
# packages that the parts we use do without.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; old = sys.version_info < (3, 11); \
	sys.exit("Metaloom needs Python 3.11 or newer, and %s is %s; choose another: make PYTHON=python3.12" \
	% ("$(PYTHON)", sys.version.split()[0]) if old else 0)'
	$(PYTHON) -m venv .venv
	$(PIP) 'pip>=24'
	$(PIP) --editable '.[dev]'
	$(PIP) --no-build-isolation --no-deps learn2learn --config-settings='--global-option=build_ext'
	@touch $(INSTALLED)
