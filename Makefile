# Everything runs in .venv, made from requirements/lock.txt (every file checked by its hash) on first use.
# Another interpreter: make demo PYTHON=/path/to/python3.12

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
# One thread a process: threads of several libraries that wait for each other cost more than they bring.
TEST_ENV := OMP_NUM_THREADS=1
# As many processes as there are processors, up to four; a file's tests stay together, for they share what they made.
TEST_JOBS := -n auto --maxprocesses 4 --dist loadfile

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-all check bench docs lock clean

help:
	@echo "make demo      train a network on the Adult census data and show its scores"
	@echo "make test      run the test suite (what .ci/run does)"
	@echo "make test-all  the same with the proofs that take minutes"
	@echo "make check     format, lint, types, import directions"
	@echo "make bench     print the benchmark figures"
	@echo "make docs      write the generated pages anew"
	@echo "make lock      resolve requirements/lock.txt anew (needs uv)"
	@echo "make clean     remove the environment, caches and built packages; runs/ stays"

demo: $(READY)
	$(BIN)/assay fit examples/adult/train.csv.gz --test examples/adult/test.csv.gz --target income \
	  --reference examples/adult/published.yaml

test: $(READY)
	$(TEST_ENV) $(BIN)/python -m pytest $(TEST_JOBS)

test-all: $(READY)
	$(TEST_ENV) $(BIN)/python -m pytest $(TEST_JOBS) -m "slow or not slow"

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

docs: $(READY)
	$(BIN)/assay practices --markdown > docs/practices.md
	$(BIN)/python scripts/options_page.py > docs/guide/options.md
	$(BIN)/assay config schema --out examples/assay.schema.json

lock:
	@command -v uv >/dev/null || { echo "make lock needs uv, but it is not on the path. Install it, then run this again." >&2; exit 2; }
	uv pip compile --python-version 3.11 --python-platform x86_64-manylinux_2_28 --generate-hashes --no-header \
	  --extra all requirements/dev.in pyproject.toml -o requirements/lock.txt

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# The stamp is touched last, so an interrupted set-up is done again.
$(READY): requirements/lock.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "assay needs Python 3.11 or newer, but PYTHON=$(PYTHON) is not. Name another: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "The environment needs Python's venv, but $(PYTHON) has none. On Debian: apt-get install python3-venv" >&2; exit 2; }
	@echo "Setting up $(VENV) from requirements/lock.txt; torch and its libraries are several GB ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements/lock.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@
