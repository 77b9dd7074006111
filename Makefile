# Two commands matter: `make demo` and `make test`. Both make .venv and install first, and so do
# `make demo-search`, which goes on where the demo ended (and runs it first where it did not),
# `make check`, which leaves out the slow tests: run it after every edit, and
# `make test-long`, the few that take as long as all others together: CI runs it after `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# The folder of a sweep, as a dry run of it prints it; there may be others of its name.
folder = "$$($(BIN)/topo-sweep run $(1) --dry-run --no-measure 2>/dev/null | awk '$$1 == "results" {print $$2}')"

# All 180 topologies; accuracies are measured only at the end of each training.
DEMO := $(BIN)/topo-sweep run demo --pack 30 --test-every 5

.PHONY: demo demo-search test test-long check chaos fuzz lint install clean

demo: $(INSTALLED)
	$(DEMO)
	folder=$(call folder,demo) && $(BIN)/topo-sweep rank "$$folder" --top 20 && \
		$(BIN)/topo-sweep plot surface "$$folder"

demo-search: $(INSTALLED)
	$(DEMO)
	folder=$(call folder,demo) && \
		$(BIN)/topo-sweep run search_demo --topology-from "$$folder" && \
		found=$(call folder,search_demo --topology-from "$$folder") && \
		$(BIN)/topo-sweep rank "$$found" && $(BIN)/topo-sweep plot cell "$$found"

# Two processes test, and each computes on a core of its own.
ONE_THREAD := OMP_NUM_THREADS=1

PYTEST = $(ONE_THREAD) $(BIN)/pytest -n 2 --dist worksteal

test: lint
	$(PYTEST) -m "not long"

test-long: $(INSTALLED)
	$(PYTEST) -m long

check: lint
	$(PYTEST) -m "not slow and not long"

# A campaign of faults around sweeps that run; as root it also cuts nodes off and fills a disk.
FAULTS ?= 50
SEED ?= 0

chaos: $(INSTALLED)
	$(BIN)/python -m tests.chaos --faults $(FAULTS) --seed $(SEED)

# Inputs of each kind that nobody writes on purpose; `make test` tries a few of them.
EXAMPLES ?= 10000

fuzz: $(INSTALLED)
	EXAMPLES=$(EXAMPLES) $(BIN)/pytest -n 2 tests/fuzz

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
