# Everything a developer or a CI job does, each in one word; `make` alone lists them.
#
# Needs Python >= 3.11, make, and a package index that pip can reach; everything else is set up in .venv/
# from locked versions with hashes. Another Python: make PYTHON=python3.12 dev

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -qq

# Two processes: most tests wait for kernels, so the second one halves the wait even on two cores.
# loadfile keeps a file's tests together, so that what a module prepares once is prepared once; without reordering the few
# long files come where their names put them, and none is left for the end.
WORKERS ?= 2
PYTEST  := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help dev demo test check format lint types layers samples smoke accuracy bench lock clean

help: ## List what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev: $(VENV)/.installed ## Set up .venv with the locked packages and rbnb itself; done once

# A stamp each for what takes a minute and for what takes seconds: editing pyproject.toml repeats only the latter.
# --no-deps: the lock names every package already, and pip 23 refuses hashes together with extras.
# --no-compile: Python compiles what is imported when it is; of two hundred packages that is the smaller part.
$(VENV)/.locked: requirements/dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
	    "rbnb needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1); try: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "setting up $(VENV) from requirements/dev.lock: a minute or two, once"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --no-compile --no-deps --require-hashes -r requirements/dev.lock
	@touch $@

$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(PIP) check
	@touch $@

demo: dev ## Run the latency runbook on the sample model
	@$(BIN)/rbnb run latency_spike --model fraud-v3

test: dev ## Run all tests; options for pytest: make test ARGS="-k ledger"
	@$(PYTEST) $(ARGS)

check: lint types layers ## Formatting, lint, types, layers

lint: dev ## Check formatting and lint
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check

types: dev ## Check types
	@$(BIN)/mypy

layers: dev ## Check that a room imports only rooms below it
	@$(BIN)/lint-imports

format: dev ## Format the code and mend what lint can mend by itself
	@$(BIN)/ruff check --fix --exit-zero --quiet
	@$(BIN)/ruff format

samples: dev ## Rebuild data_samples/ byte for byte from its seed
	@$(BIN)/python -m rbnb.simulate data_samples

smoke: dev ## Build the wheel, install it without development packages, and use it outside the repository
	@scripts/smoke.sh $(BIN)/python

accuracy: dev ## Measure how often each runbook is right, on scenarios whose truth is known; writes docs/accuracy.md
	@$(BIN)/python -m benchmarks.accuracy --seeds final --flights --write

bench: dev ## Measure a run against bare papermill, side by side
	@$(BIN)/python scripts/bench.py

# Universal: one file for every platform and Python; no index address in it, so each site uses its own.
COMPILE := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links --no-annotate

lock: ## Renew requirements/*.lock; needs uv, which nothing else needs
	@command -v uv >/dev/null || { echo "make lock needs uv, which is not installed: it is the one tool here that make dev does not bring" >&2; exit 1; }
	$(COMPILE) --quiet -o requirements/run.lock
	$(COMPILE) --quiet --group dev -c requirements/run.lock -o requirements/dev.lock

clean: ## Remove caches and builds; .venv and reports stay
	@rm -rf build dist bench-results .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find rbnb tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
