# make quickstart  render videos, train the small recipe, test it          make test      what CI runs
# make test-all    the slow tests as well                                  make lint      style and direction of imports
# Everything happens in .venv, which is made on first use and again when pyproject.toml changes.

VENV ?= .venv
JOBS ?= 2
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PLUGIN := $(VENV)/.plugin-installed

# The first of these that is a Python we support; a name on the PATH alone does not say so (version managers leave stubs).
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
	$$p -c 'import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && echo $$p && break; done)

# The recipe's datamodule renders its clips on the first run. The schedule is a sixth of the recipe's, with clips among the pictures from the start, and 75
# of 200 held-out clips are asked: 12 minutes in all on two cores.
RECIPE ?= molmo2/tiny
PRECISION ?= bf16-mixed
SCHEDULE ?= --trainer.precision=$(PRECISION) --trainer.max_steps=300 --data.path='{data/tabletop: 1.0, data/tabletop_stills: 4.0}'
QUICKSTART ?= $(BIN)/zoo fit --config $(RECIPE) $(SCHEDULE) && $(BIN)/zoo test --config $(RECIPE) --ckpt_path last --trainer.limit_test_batches=3

# Warnings of build tools about editable installs would hide the lines that matter.
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip --quiet --disable-pip-version-check

# One thread a worker: torch, BLAS and the software renderer would fight over the cores otherwise.
TEST_ENVIRONMENT := OMP_NUM_THREADS=1 LP_NUM_THREADS=1
PYTEST := $(TEST_ENVIRONMENT) $(BIN)/python -m pytest -n $(JOBS) --dist loadfile

.PHONY: quickstart test test-all lint format venv clean

quickstart: $(INSTALLED)
	$(QUICKSTART)

test: lint $(PLUGIN)
	$(PYTEST) -m "not slow and not gpu"

test-all: lint $(PLUGIN)
	$(PYTEST)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports --no-cache

format: $(INSTALLED)
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

venv: $(INSTALLED)

$(INSTALLED): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 with venv is needed; name one: make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade pip
	$(PIP) install --editable ".[dev]"
	touch $@

# A package of its own that adds a pruner and a head: the tests that run over the registry run on them too.
$(PLUGIN): $(INSTALLED) $(shell find tests/plugin_package -name '*.py' -o -name pyproject.toml)
	$(PIP) install --no-deps --no-build-isolation --force-reinstall tests/plugin_package
	rm -rf tests/plugin_package/build tests/plugin_package/*.egg-info
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
