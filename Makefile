# Every target does its own set-up: a virtual environment, the locked packages, a broker and a database.
# Nothing is assumed but Python 3.11 or newer (with venv) and make.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test test-nightly chaos check bench bench-forecast bench-decisions schemas lock clean help

help:            ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*## */\t/' | expand -t 18

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("vmi needs Python 3.11 or newer; this is %d.%d. Try: make PYTHON=python3.11" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked packages into $(VENV) (some minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY)   ## a retailer's year through real Kafka and Postgres; ARGS="--days 30 --stores 5 --keep"
	@$(BIN)/vmi demo $(ARGS)

test: check      ## everything that proves it works (includes check); ARGS="-k position -x"
	@$(BIN)/python -m pytest $(ARGS)

test-nightly: $(READY) ## the laws with 10,000 examples each, and what takes long
	@HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest --timeout 7200 -m "long or not long" -k "p01 or p08 or p11" $(ARGS)

chaos: $(READY)  ## real servers and workers under faults drawn by a seed; SEED=7 MINUTES=20
	@PYTHONPATH=tests $(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES))

check: $(READY)  ## lint, format, types, import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: $(READY)  ## the figures of tests/benchmark/README.md, measured here and now
	@PYTHONPATH=tests $(BIN)/python -m tests.benchmark $(ARGS)

bench-forecast: $(READY) ## accuracy of forecasts on five panels of real demand, and their speed; ARGS="--panel NAME"
	@$(BIN)/python -m tests.benchmark forecasting $(ARGS)

bench-decisions: $(READY) ## stock at equal fill on real demand; ARGS="--case 'CJ weekly' --plot frontier.png"
	@$(BIN)/python -m tests.benchmark deciding $(ARGS)

schemas: $(READY) ## write the JSON Schemas of shared/vmi_contracts/schemas anew
	@$(BIN)/python -m vmi_contracts.schema_files

lock: $(READY)   ## resolve the versions of pyproject.toml anew into requirements.lock
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --universal --python-version 3.11 --all-extras --generate-hashes --upgrade --no-emit-index-url \
	    --no-emit-find-links --no-annotate --quiet --custom-compile-command "make lock" pyproject.toml -o requirements.lock

clean:           ## stop the embedded servers, remove their data and everything built
	@test ! -x $(BIN)/vmi || $(BIN)/vmi local down --remove-data
	@rm -rf $(VENV) .vmi .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
	@find services shared tests -name __pycache__ -type d -prune -exec rm -rf {} +
