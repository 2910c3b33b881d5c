# `make help` lists what there is. Every target installs what it needs, into .venv beside this file.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
TORCH_VENV := .venv-examples
BENCH_VENV := .venv-bench

# Only the open ac_types and ap_types headers inside this wheel are used, so what it depends on (a training framework) stays out.
HEADERS := hls4ml==1.3.0

# The stamps carry the interpreter's version: `make PYTHON=python3.12 test` makes the environment anew.
VERSION := $(shell $(PYTHON) -c 'import platform; print(platform.python_version())' 2>/dev/null)
INSTALLED := $(VENV)/.installed-$(VERSION)
INSTALLED_DEV := $(VENV)/.installed-dev-$(VERSION)
INSTALLED_TORCH := $(TORCH_VENV)/.installed-$(VERSION)
INSTALLED_BENCH := $(BENCH_VENV)/.installed-$(VERSION)

PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
SIMULATE := $(VENV)/bin/fxnorm simulate --format q5.3

# $(call environment,FOLDER): a virtual environment of $(PYTHON) in FOLDER, unless a sound one is there.
define environment
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || { \
	  echo "make: fxnorm needs Python 3.11 to 3.13; $(PYTHON) is $(or $(VERSION),not there);" \
	    "name another: make PYTHON=python3.12 …" >&2; \
	  exit 1; }
	@if [ "$$($(1)/bin/python -c 'import pip, platform; print(platform.python_version())' 2>/dev/null)" != "$(VERSION)" ]; then \
	  echo "making $(1) with Python $(VERSION)"; \
	  $(PYTHON) -m venv --clear $(1) || { \
	    echo "make: '$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
	fi
endef

# Scales of affine plans follow from the last bits of FP32, which differ by machine: what may be lost is a little more than nothing.
SWEPT := digits_dense digits_conv digits_groupnorm digits_instancenorm digits_vit
swept = $(VENV)/bin/fxnorm sweep examples/$(1).onnx --width 4:12 --normalize none,pow2,affine -o runs/examples/$(1) \
  --data examples/$(if $(filter digits_dense,$(1)),digits_dense,digits_conv)_test.npz

.PHONY: sweep sweep-baselines
.PHONY: help venv demo test test-slow test-all lint types format conformance hls cosim bench accuracy figures examples clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(INSTALLED): pyproject.toml
	$(call environment,$(VENV))
	$(PY) $(PIP_INSTALL) --editable .
	@touch $@

# The Makefile counts, for the headers' version stands in it.
$(INSTALLED_DEV): pyproject.toml Makefile $(INSTALLED)
	$(PY) $(PIP_INSTALL) --editable '.[dev]'
	$(PY) $(PIP_INSTALL) --no-deps $(HEADERS)
	@touch $@

$(INSTALLED_TORCH): pyproject.toml
	$(call environment,$(TORCH_VENV))
	$(TORCH_VENV)/bin/python $(PIP_INSTALL) --editable '.[examples]'
	@touch $@

# hls4ml reads ONNX through qonnx. The Makefile counts, for the version stands in it.
$(INSTALLED_BENCH): Makefile
	$(call environment,$(BENCH_VENV))
	$(BENCH_VENV)/bin/python $(PIP_INSTALL) $(HEADERS) 'qonnx==1.0.0'
	@touch $@

venv: $(INSTALLED_DEV) ## make .venv with the package and everything that development needs

demo: $(INSTALLED) ## simulate the trained examples on real digits at q5.3, without and with normalization
	$(SIMULATE) --normalize none examples/digits_dense.onnx --data examples/digits_dense_test.npz
	$(SIMULATE) examples/digits_dense.onnx --data examples/digits_dense_test.npz
	$(SIMULATE) --normalize none examples/digits_conv.onnx --data examples/digits_conv_test.npz
	$(SIMULATE) examples/digits_conv.onnx --data examples/digits_conv_test.npz

test: $(INSTALLED_DEV) ## run the fast tests (under 5 minutes on two cores)
	$(PY) -m pytest -n 2 -m 'not slow'

test-slow: $(INSTALLED_DEV) ## run the slow tests only
	$(PY) -m pytest -n 2 -m slow

test-all: $(INSTALLED_DEV) ## run every test
	$(PY) -m pytest -n 2

lint: $(INSTALLED_DEV) ## check style and format with ruff
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(INSTALLED_DEV) ## check types with mypy, strictly
	$(PY) -m mypy

format: $(INSTALLED_DEV) ## let ruff format the code and mend what it can
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

conformance: $(INSTALLED_DEV) ## run the ONNX backend node tests; rewrite the table in docs/operators.md
	$(PY) tests/conformance/run.py --table docs/operators.md

hls: $(INSTALLED) ## write the sample of emitted C++ in hls_out anew
	$(VENV)/bin/fxnorm emit examples/digits_conv.onnx --format q5.3 --data examples/digits_conv_test.npz --frames 8 -o hls_out/digits_conv

cosim: $(INSTALLED_DEV) ## compare emitted C++ of whole networks with the simulator; rewrite the table in docs/hls.md
	$(PY) tests/hls/run_networks.py --page docs/hls.md

bench: $(INSTALLED_DEV) ## measure the speed against onnxruntime and others (hls4ml in its own .venv-bench); rewrite docs/benchmarks.md
	@$(MAKE) --no-print-directory $(INSTALLED_BENCH) || echo "make: hls4ml cannot be installed; its rows are left out" >&2
	$(PY) -m benchmarks.run --page docs/benchmarks.md

sweep: $(INSTALLED) ## accuracy of the examples against bit width; fail where it is below examples/baselines
	@rm -rf runs/examples
	@$(foreach model,$(SWEPT),echo 'sweep of $(model)'; \
	  $(call swept,$(model)) --baseline examples/baselines/$(model).json --gate-on normalize=none,pow2; \
	  $(call swept,$(model)) --baseline examples/baselines/$(model).json --gate-on normalize=affine \
	    --baseline-drop 0.005 --baseline-sqnr-drop 0.5 | tail -n 1;)

sweep-baselines: $(INSTALLED) ## write examples/baselines anew
	@rm -rf runs/examples
	@$(foreach model,$(SWEPT),$(call swept,$(model)) --json examples/baselines/$(model).json;)

accuracy: $(INSTALLED) ## run the trained examples at q5.3, with normalization and without; rewrite docs/accuracy.md
	$(PY) examples/accuracy.py --page docs/accuracy.md

figures: $(INSTALLED_DEV) ## draw the figures of the documentation anew (Chromium photographs a report)
	$(PY) examples/decades.py --plot docs/nonlinear.svg
	$(PY) examples/report_pictures.py --picture docs/report.png --chart docs/report-accuracy.svg

examples: $(INSTALLED_TORCH) ## train the examples anew (PyTorch, in its own .venv-examples)
	$(TORCH_VENV)/bin/python examples/train_digits.py

clean: ## remove the environments, caches and build leftovers
	rm -rf $(VENV) $(TORCH_VENV) $(BENCH_VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
