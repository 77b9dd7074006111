# Two commands matter: `make demo` and `make test`. Both make .venv and install first, and so do
# `make demo-search`, which goes on where the demo ended (and runs it first where it did not), and
# `make check`, which leaves out the slow tests: run it after every edit.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo demo-search test check lint install clean

demo: $(INSTALLED)
	$(BIN)/topo-sweep run demo
	$(BIN)/topo-sweep rank results/demo-* --top 20
	$(BIN)/topo-sweep plot surface results/demo-*

demo-search: $(INSTALLED)
	$(BIN)/topo-sweep run demo
	$(BIN)/topo-sweep run search_demo --topology-from "$$(ls -dt results/demo-* | head -1)"
	$(BIN)/topo-sweep rank "$$(ls -dt results/search_demo-* | head -1)"
	$(BIN)/topo-sweep plot cell "$$(ls -dt results/search_demo-* | head -1)"

test: lint
	$(BIN)/pytest -n 2 --dist worksteal

check: lint
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow"

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2

install: $(INSTALLED)

$(INSTALLED): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
