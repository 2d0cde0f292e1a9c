# enrichd from a clone: everything lives in .venv, made on demand from the locks.
#
# PYTHON=...  the interpreter to make .venv with (3.11 or newer)
# REPO=path   the repository for `make run`
# MINUTES=60  how long `make soak` takes

PYTHON ?= python3.11 python3 python3.12 python3.13 python3.14
REPO ?= .
MINUTES ?= 60
DB ?= .enrichd/enrichd.db

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
API := $(VENV)/api
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SOURCES := daemon tracker tests bench docs

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test acceptance search edits faults soak check format bench lock clean

help:
	@echo 'make run [REPO=path]   index and enrich a repository, then ask it some questions'
	@echo 'make test              unit and component tests, then integration, then acceptance tests'
	@echo 'make acceptance        only those with a real daemon and real language servers'
	@echo 'make search            a real model over flask and requests: what is meant is found'
	@echo 'make edits             200 random edits of flask and requests: incremental equals full'
	@echo 'make faults            every fault to be survived: how often, the figure, the bound'
	@echo 'make soak [MINUTES=60] edits, kills and questions: what they leave behind'
	@echo 'make check             lint, format, types, import contracts'
	@echo 'make format            let ruff put the code in form'
	@echo 'make bench             measure against the budgets, in bench/RESULTS.md'
	@echo 'make lock              resolve the dependencies anew (needs uv)'
	@echo 'make clean             remove what was made'

run: $(RUNTIME)
	$(BIN)/enrichd index $(REPO) --db $(DB)
	@echo
	$(BIN)/enrichd status --db $(DB)
ifeq ($(REPO),.)
	@echo
	$(BIN)/enrichd callers EnrichmentTracker.record_failure --db $(DB)
	@echo
	$(BIN)/enrichd callees charging.judge --db $(DB)
	@echo
	$(BIN)/enrichd explain BackoffPolicy.delay_s --db $(DB)
else
	@echo
	$(BIN)/enrichd symbols '*' --limit 10 --db $(DB)
	@echo
	@echo 'now ask it yourself: $(BIN)/enrichd callers NAME --db $(DB)'
endif

test: $(DEV) $(API)/.made
	$(BIN)/python -m pytest -q --numprocesses auto tests/unit tests/component
	$(BIN)/python -m pytest -q tests/integration
	$(BIN)/python -m pytest -q tests/acceptance

acceptance: $(DEV) $(API)/.made
	$(BIN)/python -m pytest tests/acceptance

search: $(DEV)
	$(BIN)/python -m pytest -q tests/search

edits: $(DEV)
	ENRICHD_STORE_EXAMPLES=1000 $(BIN)/python -m pytest -q tests/edits \
		tests/component/store/test_incremental.py

faults: $(DEV)
	$(BIN)/python -m pytest -q -m fault tests

soak: $(DEV)
	$(BIN)/python -m tests.soak --minutes $(MINUTES)

check: $(DEV)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV)
	$(BIN)/ruff check --fix-only $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: $(DEV)
	$(BIN)/python -m bench --write

# The versions in the locks are kept unless they are removed from them first.
lock:
	@command -v uv >/dev/null || { echo 'make lock: uv is needed to resolve dependencies' >&2; exit 1; }
	uv pip compile $(UV_FLAGS) pyproject.toml -o requirements.lock
	uv pip compile $(UV_FLAGS) pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
	uv pip compile $(UV_FLAGS) --group api -c requirements-dev.lock -o requirements-api.lock

UV_FLAGS := --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links

clean:
	rm -rf $(VENV) .enrichd dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment that is half made is made again: the stamp comes last.
$(VENV)/.made:
	@for python in $(PYTHON); do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "making $(VENV) with $$($$python --version)"; \
			rm -rf $(VENV) && $$python -m venv $(VENV) && touch $@; \
			exit $$?; \
		fi; \
	done; \
	echo 'make: Python 3.11 or newer is needed; tried: $(PYTHON). Set PYTHON=/path/to/python' >&2; \
	exit 1

$(RUNTIME): $(VENV)/.made requirements.lock pyproject.toml
	@echo 'installing what enrichd needs'
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps -e .
	@touch $@

$(DEV): $(RUNTIME) requirements-dev.lock
	@echo 'installing what its tests need'
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

# Beside the environment and not in it: what is in it changes what language servers find.
$(API)/.made: $(DEV) requirements-api.lock
	@echo 'installing what asks the API everything'
	@rm -rf $(API)
	@$(PIP) --require-hashes --target $(API) -r requirements-api.lock
	@touch $@
