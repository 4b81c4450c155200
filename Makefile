# Two commands do everything on a fresh machine: `make demo` and `make test`. Both make .venv if it is not there.
PYTHON ?= python3

.PHONY: demo test lint clean

demo: ; @PYTHON=$(PYTHON) launch/demo.sh
test: ; @PYTHON=$(PYTHON) launch/test.sh
lint: ; @PYTHON=$(PYTHON) launch/lint.sh
clean: ; rm -rf .venv starter runs build *.egg-info
