# Every verb of the project. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TEMPORAL := 1.31.2
TEMPORAL_BIN ?= .cluster/temporal-$(TEMPORAL)

# Each command and each process of the tests would compile the whole project again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install dev cluster cluster-test bench test check lint types contracts format lock clean

help: ## This list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

install: $(STAMP) ## Make .venv with hash-locked dependencies and the flowgraft command

$(STAMP): requirements/dev.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@if command -v uv >/dev/null 2>&1; then \
		uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/dev.txt && \
		uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	fi
	@touch $(STAMP)

dev: install ## Run everything on this machine with two example instances (ARGS="--port 8700 …")
	@$(BIN)/flowgraft dev $(ARGS)

cluster: install $(TEMPORAL_BIN)/server ## Two APIs, two workers, Temporal and PostgreSQL, without Docker (ARGS="--data-dir .cluster/data")
	@./tests/fixtures/ensure-postgres
	@$(BIN)/python -m deploy.cluster --temporal-bin $(TEMPORAL_BIN) $(ARGS)

cluster-test: install $(TEMPORAL_BIN)/server ## The end-to-end tests on a cluster, and its parts killed under load (FAULT_SECONDS=40 FAULT_RATE=10)
	@./tests/fixtures/ensure-postgres
	@FLOWGRAFT_E2E=cluster TEMPORAL_BIN=$(TEMPORAL_BIN) $(BIN)/python -m pytest -q tests/e2e $(ARGS)

$(TEMPORAL_BIN)/server:
	@command -v go >/dev/null || { echo "A cluster needs Temporal's own server: install Go to build it, or say TEMPORAL_BIN=directory with server and sql" >&2; exit 1; }
	@echo "Building Temporal's server $(TEMPORAL), once: about ten minutes …"
	@GOBIN=$(abspath $(TEMPORAL_BIN)) go install go.temporal.io/server/cmd/tools/sql@v$(TEMPORAL)
	@GOBIN=$(abspath $(TEMPORAL_BIN)) go install go.temporal.io/server/cmd/server@v$(TEMPORAL)

bench: install ## Flowgraft against a bare Temporal workflow, side by side (ARGS="--rounds 2 --count 300")
	@$(BIN)/python -m bench $(ARGS)

test: install ## All tests
	@./tests/fixtures/ensure-postgres
	@$(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

check: lint types contracts test ## What CI runs

lint: install ## Format and lint
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: install ## mypy, strict
	@$(BIN)/mypy

contracts: install ## Who may import whom
	@$(BIN)/lint-imports

format: install ## Format and mend what can be mended
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lock: ## Lock the requirements anew (needs uv)
	@for name in base build dev; do uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		requirements/$$name.in -o requirements/$$name.txt; done

clean: ## Remove what is made
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
