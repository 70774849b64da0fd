# `make` lists the targets. The environment is .venv, updated when pyproject.toml changes.
PYTHON ?= python3
VIDEO ?=
export VIDEO

PY := .venv/bin/python
READY := .venv/.ready
# typings/ shows type checkers the folders as the sub-packages they are installed as.
TYPED := vsr typings tests scripts benchmarks

.DEFAULT_GOAL := help
.PHONY: demo test test-slow lint types format package clean help

demo: $(READY)  ## restore a rendered clip, or VIDEO=FILE, into demo/
	$(PY) -m vsr.demo $${VIDEO:+--video "$$VIDEO"}

test: lint types  ## lint, types and the tests; those that need a GPU skip themselves without one
	$(PY) -m pytest -m "not slow"

test-slow: $(READY)  ## the tests that take long
	$(PY) -m pytest -m slow || [ $$? -eq 5 ]

lint: $(READY)  ## ruff: rules and format
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(READY)  ## mypy, strict
	$(PY) -m mypy $(TYPED)

format: $(READY)  ## let ruff repair what it can
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

package: $(READY)  ## sdist, wheel, and the wheel tried in a clean environment
	$(PY) -m scripts.check_package

clean:  ## remove what make made, except the environment
	rm -rf build dist demo *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## /\1	/p' Makefile | expand -t 12
	@echo 'PYTHON=python3.12 chooses the interpreter of a new environment (now: $(PYTHON))'

# Without ensurepip (Debian's python3 without python3-venv) the pip at hand fills the environment.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, $(PYTHON) is " + sys.version.split()[0] + ": choose another with PYTHON=...")'
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv >/dev/null 2>&1 || \
		{ $(PYTHON) -m venv --clear --without-pip .venv && $(PYTHON) -m pip --python $(PY) install pip; }
	$(PY) -m pip install --editable '.[dev]'
	@touch $@
