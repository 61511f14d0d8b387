# `make demo` shows the whole system on a real model, `make test` checks all of it; `make help` has the rest.
PYTHON ?= python3
TRAIN_PYTHON ?= python3.12
PLAN ?= eval/codesign/cpu.toml
JOBS ?= 3
GIGABYTES := 1.5
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/input-time-scaling
TRAIN_CPU := $(CACHE)/axolotl-0.21.0-cpu
TRAIN := $(CACHE)/axolotl-0.21.0
SGLANG := $(CACHE)/sglang-0.5.23-cpu

.PHONY: peers demo test lint pytest test-long bench help clean test-train smoke-135m train-env test-sglang sglang-env codesign

help:
	@echo "make demo   set up, start a real model on the CPU, ask, vote, evaluate, and stay up until Ctrl-C (ARGS=--once ends after the evaluation)"
	@echo "make test   set up and run every check: lint, types, tests (JOBS=3 processes, 0: in one; ARGS=... go to pytest)"
	@echo "make test-long  the soak and the tests that draw their cases, with many more of them (10 minutes)"
	@echo "make bench  measure the proxy against direct calls (ARGS=--write puts the table into eval/RESULTS.md)"
	@echo "make test-train  train tiny models with the real Axolotl on the CPU (2.4 GB, cached)"
	@echo "make smoke-135m  the same with SmolLM2-135M: data, training, merging, checks (10 minutes)"
	@echo "make train-env   the environment for training on GPUs (Python >= 3.12, 8 GB)"
	@echo "make test-sglang  ask the real SGLang, on the CPU, for all that the proxy relies on (2.7 GB, cached)"
	@echo "make peers  its-eval's verdicts beside sgl-eval's, inspect-ai's and lm-eval's (1.5 GB, cached)"
	@echo "make codesign  the paper's claim on two cores: train, serve, measure, vote (5 hours; QUICK=1: a quarter of one)"
	@echo "make clean  remove the environment and what the tools left"

demo: .venv/.demo
	$(BIN)/its-proxy demo $(ARGS)

# Types are checked beside the tests. Tests wait for servers and clocks, so there is a process more than cores.
test: .venv/.dev
	@$(MAKE) --no-print-directory --jobs 2 lint pytest

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

pytest: .venv/.dev
	$(BIN)/pytest -n $(JOBS) --dist worksteal --durations 10 $(ARGS)

test-long: .venv/.dev
	ITS_LONG=1 $(BIN)/pytest -n $(JOBS) --dist worksteal --durations 10 -m long $(ARGS)

bench: .venv/.dev
	$(BIN)/python tests/bench/proxy.py $(ARGS)
	$(BIN)/python -m tests.bench.first_chunk

test-train: $(TRAIN_CPU)/.made
	PYTHONPATH=. AXOLOTL_DO_NOT_TRACK=1 $(TRAIN_CPU)/bin/python -m pytest tests/train -p no:cacheprovider -W default $(ARGS)

smoke-135m: $(TRAIN_CPU)/.made
	PYTHONPATH=. AXOLOTL_DO_NOT_TRACK=1 $(TRAIN_CPU)/bin/python -m tests.train.smoke $(ARGS)

# Every clone shares these folders: each holds a copy of what it was made from, as a fresh checkout is always newer.
# Axolotl asks for Python 3.12 and CUDA; on a CPU its parts do without both, so it is forced.
$(TRAIN_CPU)/.made: constraints/train-cpu.txt
	@cmp -s $< $@ || { set -ex; \
	  rm -rf $(TRAIN_CPU); \
	  python3.11 -m venv $(TRAIN_CPU); \
	  $(TRAIN_CPU)/bin/python -m pip install --quiet --disable-pip-version-check -r $<; \
	  $(TRAIN_CPU)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python axolotl==0.21.0 .; }
	@cp $< $@

train-env: $(TRAIN)/.made
	@echo "activate it: . $(TRAIN)/bin/activate"
	@$(TRAIN)/bin/python -m tests.train.missing

$(TRAIN)/.made: constraints/train.txt pyproject.toml
	@$(TRAIN_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 12) and "Python >= 3.12 is needed: make train-env TRAIN_PYTHON=python3.12")'
	$(TRAIN_PYTHON) -m venv $(TRAIN)
	$(TRAIN)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints/train.txt -e '.[train,sft]'
	@touch $@

test-sglang: .venv/.dev $(SGLANG)/.made
	ITS_SGLANG=$(SGLANG) $(BIN)/pytest tests/sglang -p no:cacheprovider -rP $(ARGS)

peers: .venv/.dev
	nice -n 5 $(BIN)/python -m tests.peers.verdicts $(ARGS)

sglang-env: $(SGLANG)/.made

codesign: .venv/.dev $(TRAIN_CPU)/.made $(SGLANG)/.made
	exec env ITS_TRAIN_PYTHON=$(TRAIN_CPU)/bin/python ITS_SGLANG=$(SGLANG) \
	  $(BIN)/its-eval codesign $(PLAN) $(if $(QUICK),--section quick) $(ARGS)

# Without a GPU, SGLang does without its CUDA kernels and what they need (tests/sglang/stand_in).
$(SGLANG)/.made: constraints/sglang.txt
	@cmp -s $< $@ || { set -ex; \
	  rm -rf $(SGLANG); \
	  python3.11 -m venv $(SGLANG); \
	  $(SGLANG)/bin/python -m pip install --quiet --disable-pip-version-check -r $<; \
	  $(SGLANG)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	    sglang==0.5.23 sglang-router==0.3.2 torchvision==0.28.0; }
	@cp $< $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build

.venv/.made: constraints/base.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	@$(BIN)/python proxy/tools/preflight.py . $(GIGABYTES)
	$(PIP) install --upgrade pip -c constraints/base.txt
	@touch $@

.venv/.demo: .venv/.made pyproject.toml
	$(PIP) install -c constraints/base.txt -e '.[demo]'
	@touch $@

# Without its dependencies: one of them, pycosat, needs a compiler, and no test needs it.
.venv/.dev: .venv/.made pyproject.toml
	$(PIP) install -c constraints/base.txt -e '.[demo,eval,otel,redis,sft]' --group dev
	$(PIP) install --no-deps -c constraints/base.txt reasoning-gym
	@touch $@ .venv/.demo
