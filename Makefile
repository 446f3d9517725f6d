# Sidelight: `make` lists what there is. Everything is installed into .venv.
#   PYTHON=python3.12   the interpreter to make it with (default: the first fitting one)
#   PROCESSES=4         how many processes run the tests (default: 3)
#   ARGS="..."          passed on to what the target runs, e.g. make test ARGS="-k roc -x"

.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
FITTING := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PROCESSES ?= 3
PYTHON ?= $(or $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c '$(FITTING)' 2>/dev/null && echo $$python && break; done),python3)
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --no-header

.PHONY: help run test test-slow check samples bench screenshots docs lock clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1 \t/p' Makefile | expand -t 22

run: $(VENV)/.runtime  ## install what is missing, start the dashboard, open the browser
	@$(BIN)/python -m dashboard run $(ARGS)

test: $(VENV)/.dev  ## the whole suite, browser tests and coverage included
	@$(BIN)/python -m tests.browser || true
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder \
		-p tests.lines --lines-at-least=95 $(ARGS)

test-slow: $(VENV)/.dev  ## reference runs of minutes
	$(BIN)/python -m pytest -m slow $(ARGS)

check: $(VENV)/.dev  ## formatting, lint, types, layout
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layout.py

samples: $(VENV)/.dev  ## remake every sample data set and model from its seed
	$(BIN)/python -m sample_models.build $(ARGS)

bench: $(VENV)/.dev  ## run the benchmarks and write benchmarks/README.md
	$(BIN)/python -m benchmarks $(ARGS)

screenshots: $(VENV)/.dev  ## take the pictures of docs/screenshots again
	$(BIN)/python -m tests.screenshots $(ARGS)

docs: $(VENV)/.dev  ## write the tables of the docs from the code
	$(BIN)/python docs/make_reference.py
	$(BIN)/python -W ignore -m tests.truth_table
	$(BIN)/python -m tests.verdict_simulation

lock: $(VENV)/.dev  ## write the lists of versions from pyproject.toml (ARGS=--upgrade: newest)
	$(LOCK) --group runtime --output-file requirements.txt $(ARGS)
	$(LOCK) --group dev --constraint requirements.txt --output-file requirements-dev.txt $(ARGS)
	@printf '%s\n' '# Made by `make lock` from [dependency-groups] of pyproject.toml; edit that file, not this.' \
		'# "via sidelight" marks what we chose ourselves; the rest comes with it.' \
		| cat - requirements.txt > .lock && mv .lock requirements.txt
	@printf '%s\n' '# Made by `make lock`: the tools, beside everything that the dashboard runs on.' \
		'-r requirements.txt' | cat - requirements-dev.txt > .lock && mv .lock requirements-dev.txt

clean:  ## remove the environment, caches and build outputs
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* htmlcov tests/screenshots
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than the lists it was installed from, so a second run installs nothing.
$(VENV)/.runtime: requirements.txt .ci/install.py
	@$(PYTHON) .ci/install.py $(VENV) requirements.txt && touch $@

$(VENV)/.dev: requirements-dev.txt requirements.txt .ci/install.py
	@$(PYTHON) .ci/install.py $(VENV) requirements-dev.txt && touch $@ $(VENV)/.runtime
