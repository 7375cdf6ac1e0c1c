# Two commands are all there is to begin with: `make train` and `make test`. `make` alone lists the targets.
PYTHON ?= python3
PYTHONS ?= python3.11 python3.12 python3.13
CONFIG ?= configs/quickstart.py
SCALE  ?= small
ARGS   ?=

IN = .venv/bin/python
# The quickstart's results come with the checkout; the first `make train` makes your own.
MADE_HERE = $(wildcard results/quickstart/checkpoints)
ANEW = $(if $(filter configs/quickstart.py,$(CONFIG)),$(if $(ARGS)$(MADE_HERE),,--anew))
DRIVER := $(shell nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1 | grep -oE '^[0-9]+')
CUDA := $(if $(DRIVER),$(shell [ $(DRIVER) -ge 580 ] && echo 'jax[cuda13]' || echo 'jax[cuda12]'))

.DEFAULT_GOAL := help
.PHONY: help setup train test check figures page results bench lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "make train CONFIG=configs/NAME.py ARGS='--seed 3'    ARGS='--help' shows every field of a run"

setup: .venv/.done  ## make .venv and install grok into it, editable (with CUDA where an NVIDIA GPU is found)

.venv/.done: pyproject.toml requirements.txt requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'grok needs Python 3.11 or newer: make PYTHON=python3.12' >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(IN) -m pip install --quiet --disable-pip-version-check -r requirements.lock -e '.[dev]' $(CUDA)
	@touch $@

train: setup  ## train CONFIG (default: the quickstart), draw its figures, say where they are
	@$(IN) -m grok train $(CONFIG) $(ARGS) $(ANEW)

test: setup  ## run the whole test suite
	@$(IN) -m pytest $(ARGS)

check: setup  ## check format, lint and types
	@$(IN) -m ruff format --check .
	@$(IN) -m ruff check .
	@$(IN) -m mypy

figures: setup  ## redraw every figure whose results have changed
	@$(IN) -m grok figures $(ARGS)

page: setup  ## write results/page.html: findings, runs and networks, to open in a browser
	@$(IN) -m grok page $(ARGS)

results: setup  ## make all results that are not complete, at SCALE=small, night or paper
	@$(IN) -m grok results --scale $(SCALE) $(ARGS)

bench: setup  ## measure the speed of training on this machine
	@$(IN) -m grok bench $(ARGS)

lock:  ## pin what grok and its extra dev resolve to, for each of PYTHONS
	$(PYTHON) tests/lock.py $(PYTHONS)

clean:  ## remove the environment and caches, never results
	rm -rf .venv build grok.egg-info .pytest_cache .hypothesis .ruff_cache .mypy_cache
