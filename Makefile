# Two commands matter: `make demo` and `make test`. Both make .venv and install first, and so does
# `make demo-search`, which goes on where the demo ended (and runs it first where it did not).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo demo-search test lint install clean

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

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: $(INSTALLED)

$(INSTALLED): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
