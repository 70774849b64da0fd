# `make` lists the targets. The environment is .venv, updated when what it is made from changes.
PYTHON ?= python3
VIDEO ?=
# Other versions that are tested where this machine has them; each gets an environment, which is
# removed after its tests.
PYTHONS ?= 3.12 3.13
VID4 ?= ../shared/data/eval/vid4
export VIDEO VID4
# Tests start hundreds of Python processes; without bytecode each would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

# Tests use one core each and are shared out among half as many processes again as there are cores,
# since some of them wait; eight at most.
WORKERS ?= --numprocesses auto --maxprocesses 8 --dist worksteal

PY := .venv/bin/python
READY := .venv/.ready
# mmcv compiles its ops for one version of torch: it gets an environment of its own.
MMCV_PY := .venv-mmcv/bin/python
MMCV_READY := .venv-mmcv/.ready
MMCV := mmcv==2.2.0
TORCH_HEADER := $(CURDIR)/.venv-mmcv/torch.h
MMCV_CFLAGS := -O3 -DNDEBUG -fwrapv
BUILD_MMCV = MMCV_WITH_OPS=1 CFLAGS="$(MMCV_CFLAGS) -include $(TORCH_HEADER)" \
	$(MMCV_PY) -m pip install --no-build-isolation
SERVERS := .servers/node_modules/node-media-server/package.json
MADE_FROM := pyproject.toml setup.py streams/_yuv.c streams/_yuv_rows.h
# typings/ shows type checkers the folders as the sub-packages they are installed as.
TYPED := vsr typings tests scripts benchmarks examples

.DEFAULT_GOAL := help
.PHONY: demo test test-quick fuzz servers test-slow test-mmcv test-pythons test-newest papers lint types format package clean help

demo: $(READY)  ## restore a rendered clip, or VIDEO=FILE, into demo/
	$(PY) -m examples.demo $${VIDEO:+--video "$$VIDEO"}

test: $(READY)  ## lint, types and the tests side by side; those that need a GPU skip themselves without one
	@$(MAKE) --no-print-directory --jobs 2 lint types test-quick

test-quick: $(READY)  ## the tests alone, without those that take long
	$(PY) -m pytest $(WORKERS) -m "not slow"

test-slow: $(READY) $(if $(shell command -v npm),servers)  ## the tests that take long
	$(PY) -m pytest $(WORKERS:worksteal=loadgroup) -m slow

servers: $(SERVERS)  ## node-media-server, which live streams are tested with; needs npm

$(SERVERS):
	npm install --no-fund --no-audit --silent --prefix .servers node-media-server@4.4.3
	@touch $@

fuzz: $(READY)  ## damaged files, 2,000 of each kind: read, or refused in one line
	$(PY) -W ignore -m tests.fuzz

test-mmcv: $(MMCV_READY)  ## deformable convolution against mmcv's, which is compiled once
	$(MMCV_PY) -m pytest tests/models/test_deform.py \
		-W 'ignore::DeprecationWarning:torch.jit._script'
	$(MMCV_PY) -m benchmarks.deform

papers: $(READY)  ## published networks on Vid4 (VID4=FOLDER), our figures beside theirs; hours on a CPU
	$(PY) -m benchmarks.papers --root "$$VID4" --out papers

test-pythons: $(READY)  ## the core of the tests on other Pythons, with the newest releases in range
	$(PY) -m scripts.pythons $(PYTHONS)

test-newest: $(READY)  ## the same on the newest Python that is here, its packages brought up to date
	$(PY) -m scripts.pythons --newest $(PYTHONS)

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
define environment
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, $(PYTHON) is " + sys.version.split()[0] + ": choose another with PYTHON=...")'
	@$(1)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(1) >/dev/null 2>&1 || \
		{ $(PYTHON) -m venv --clear --without-pip $(1) && $(PYTHON) -m pip --python $(1)/bin/python install pip; }
	$(1)/bin/python -m pip install --editable '.[dev]'
endef

$(READY): $(MADE_FROM)
	$(call environment,.venv)
	@touch $@

# mmcv's build needs the torch it is for, and a setuptools that still has pkg_resources. torch's
# headers are compiled once for its 80 files. pip keeps the wheel; one that was built for another
# torch does not load, and is built again.
$(MMCV_READY): $(MADE_FROM)
	$(call environment,.venv-mmcv)
	$(MMCV_PY) -m pip install 'setuptools<80' wheel ninja psutil
	CFLAGS="$(MMCV_CFLAGS)" $(MMCV_PY) -m scripts.precompile_torch $(TORCH_HEADER)
	$(BUILD_MMCV) $(MMCV)
	$(MMCV_PY) -W ignore -c 'import mmcv.ops' || \
		$(BUILD_MMCV) --no-cache-dir --no-deps --force-reinstall $(MMCV)
	rm -f $(TORCH_HEADER).gch
	@touch $@
