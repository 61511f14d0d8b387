# Two commands: `make demo` shows the whole system on a real model, `make test` checks all of it.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: demo test bench help clean

help:
	@echo "make demo   set up, start a real model on the CPU, ask, vote, evaluate (ARGS=... go to its-proxy demo)"
	@echo "make test   set up and run every check: lint, types, tests (ARGS=... go to pytest)"
	@echo "make bench  measure the proxy against direct calls (ARGS=--write puts the table into eval/RESULTS.md)"
	@echo "make clean  remove the environment and what the tools left"

demo: .venv/.demo
	$(BIN)/its-proxy demo --once $(ARGS)

test: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest $(ARGS)

bench: .venv/.dev
	$(BIN)/python tests/bench/proxy.py $(ARGS)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build

.venv/.made: constraints/base.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(PIP) install --upgrade pip -c constraints/base.txt
	@touch $@

.venv/.demo: .venv/.made pyproject.toml
	$(PIP) install -c constraints/base.txt -e '.[demo]'
	@touch $@

.venv/.dev: .venv/.made pyproject.toml
	$(PIP) install -c constraints/base.txt -e '.[demo,eval,otel,redis,sft]' --group dev
	@touch $@ .venv/.demo
