# Everything a newcomer needs is `make demo` and `make test`; both set up .venv by themselves.
# Written for GNU make 3.81, the one macOS ships. Without make: README.md.

# Any Python from 3.11 on, the first that works. `make test PYTHON=/path/to/python` chooses one.
PYTHON ?=
ARGS   ?=
SEEDS  ?= 100
KILLS  ?= 200
INPUTS ?= 50000
SEED   ?= 1
START  ?= 0

VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
PY  := $(BIN)/python.exe
else
BIN := $(VENV)/bin
PY  := $(BIN)/python
endif
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_USER=0 $(PY) -m pip install -qq
UV  := $(firstword $(wildcard $(BIN)/uv) uv)

# Stamps: what the engine needs, and on top of it what the tests need.
RUN := $(VENV)/.ready-run
DEV := $(VENV)/.ready-dev

.PHONY: help setup demo test check serve bench fuzz soak crashes conformance lock clean
.DEFAULT_GOAL := help

help:
	@echo 'make demo         sample alerts trade on the embedded paper broker (ARGS=--keep stays up)'
	@echo 'make test         the whole test suite, checks included (ARGS="-k name" chooses)'
	@echo 'make serve        the engine itself'
	@echo 'make check        format, lint, types, arrows'
	@echo 'make bench        the figures; see bench/README.md'
	@echo 'make fuzz         bad alerts against the webhook: INPUTS=50000 SEED=1'
	@echo 'make soak         the simulation: SEEDS=100 START=0'
	@echo 'make crashes      the engine killed under load: KILLS=200 START=1 (the first seed)'
	@echo 'make conformance  the broker suite against a real demo account; tests/broker/conformance/README.md'
	@echo 'make setup        only .venv        make clean  remove it and all caches'
	@echo 'make lock         resolve the lock files anew (needs uv; ARGS=--upgrade for newer releases)'

setup: $(DEV)

demo: $(RUN)
	@$(PY) -m justtrades demo $(ARGS)

serve: $(RUN)
	@$(PY) -m justtrades serve $(ARGS)

test: $(DEV)
	@$(PY) -m pytest $(ARGS)

check: $(DEV)
	@$(PY) -m ruff format --check --output-format=concise .
	@$(PY) -m ruff check --output-format=concise .
	@$(PY) -m mypy --strict src tests
	@$(BIN)/lint-imports --no-logo

bench: $(DEV)
	@$(PY) -m bench $(ARGS)

fuzz: $(DEV)
	@$(PY) -m tests.api.fuzz --inputs $(INPUTS) --seed $(SEED) $(ARGS)

soak: $(DEV)
	@$(PY) -m tests.simulation --seeds $(SEEDS) --start $(START) $(ARGS)

crashes: $(DEV)
	@$(PY) -m tests.e2e --kills $(KILLS) --seed $(or $(filter-out 0,$(START)),1)

conformance: $(DEV)
	@JUSTTRADES_CONFORMANCE=1 $(PY) -m pytest tests/broker/conformance -rs $(ARGS)

$(PY):
	@found=; \
	for python in "$(PYTHON)" python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  found="$$python"; \
	  "$$python" -c 'import ensurepip, venv' 2>/dev/null || continue; \
	  echo "Setting up $(VENV) with $$("$$python" --version), found as $$python"; \
	  "$$python" -m venv $(VENV) && exit 0; \
	  rm -rf $(VENV); exit 1; \
	done; \
	if [ -n "$$found" ]; then \
	  echo "$$found has no venv module. On Debian or Ubuntu: apt install python3-venv" >&2; \
	else \
	  echo 'justtrades needs Python 3.11 or newer. Install it, or name it: make PYTHON=path/to/python' >&2; \
	fi; \
	exit 1

$(RUN): requirements.lock requirements-build.lock pyproject.toml | $(PY)
	@echo 'Installing what the engine needs (once)'
	@$(PIP) --require-hashes -r requirements.lock -r requirements-build.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements-dev.lock $(RUN)
	@echo 'Installing what the tests need (once)'
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

# Universal: one file for every system and every Python from 3.11 on, with the hashes of all public wheels.
COMPILE = $(UV) pip compile pyproject.toml --no-config --universal --python-version 3.11 --generate-hashes \
          --no-annotate --custom-compile-command 'make lock' --quiet $(ARGS)

lock:
	@command -v $(UV) >/dev/null || { echo 'make lock needs uv: pip install uv' >&2; exit 1; }
	@$(COMPILE) --extra postgres -o requirements.lock
	@$(COMPILE) --extra postgres --group dev -c requirements.lock -o requirements-dev.lock
	@$(UV) pip compile --group build -c requirements-dev.lock --no-config --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --custom-compile-command 'make lock' --quiet -o requirements-build.lock

clean:
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	@find src tests bench alembic -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
