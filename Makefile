# make demo: install, then train, evaluate and search on the built-in data.   make help: all targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadscope

.PHONY: help demo test test-fast test-machines test-servers coverage check format docs serve-docs package bench setup setup-dev browser clean

help:            ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/	/' | expand -t 18

demo: setup      ## install, then train, evaluate and search on the built-in data
	$(BIN)/commonspace demo

test: setup-dev browser ## run all tests and the examples of the docstrings
	$(PYTEST)

test-fast: setup-dev ## run the quick tests (under a minute)
	$(PYTEST) -m 'not slow and not browser and not server'

test-machines: setup-dev ## run the numeric tests as on other processors (hours; MACHINES=--one runs one)
	$(BIN)/python tests/machines.py $(MACHINES)

test-servers: setup-dev ## install a Milvus server and Ray, and run the tests that need them (ten minutes; Linux)
	$(BIN)/python $(INSTALL) '.[dev,milvus-server,ray]'
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/retrieval/backends tests/test_engines.py tests/encoders/test_extract_engines.py

coverage: setup-dev browser ## run all tests and require 95 % of the lines
	$(PYTEST) --cov --cov-report=term:skip-covered

check: setup-dev ## formatter, linter, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup-dev ## format the code and apply the linter's fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup-dev  ## build the documentation site in site/ (strict: no warning, no dead link)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

serve-docs: setup-dev ## show the documentation site while writing
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

package: setup-dev ## build and check the wheel and the source archive in dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation >/dev/null
	$(BIN)/check-wheel-contents dist/*.whl
	$(BIN)/twine check --strict dist/*
	$(BIN)/pyroma --min 10 .

bench: setup-dev ## measure speed against other programs and the limit: ten minutes (FULL=1: 40 minutes)
	$(BIN)/python -m benchmarks.bench $(if $(FULL),--full)

setup: $(VENV)/.ready
setup-dev: $(VENV)/.ready-dev

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python $(INSTALL) .
	touch $@

$(VENV)/.ready-dev: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python $(INSTALL) '.[dev]'
	touch $@ $(VENV)/.ready

# The tests of the page drive Debian's Chromium; they are skipped, with the reason, where there is none.
browser:
	@command -v chromium >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
			&& apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } \
		|| echo "Chromium is not installed: the tests of the page will be skipped"

clean:           ## remove what the targets made
	rm -rf $(VENV) .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist site *.egg-info
