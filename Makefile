# Everything a developer runs here. GNU make 3.81 (macOS) suffices; recipes are plain sh.
# ARGS goes to the tool:  make test ARGS="-k tidy -x"     PYTHON picks an interpreter:  make setup PYTHON=python3.12
.DEFAULT_GOAL := help
.PHONY: help setup demo work test lint format bench clean

SHELL := /bin/sh
BIN := .venv/bin
STAMP := .venv/.stamp
CANDIDATES := $(or $(PYTHON),python3 python3.13 python3.12 python3.11)

# A copied or moved checkout must not run the code of the place it came from: the stamp names the checkout it belongs to.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## Create .venv with everything needed (uv when present, else venv + pip)

demo: $(STAMP) ## Watch a claim race on a simulated fleet
	@$(BIN)/foreman sim run scenarios/claim-race.yaml $(ARGS)

work: $(STAMP) ## Watch real agents mend three bugs, one of them killed in the middle
	@$(BIN)/python tests/e2e/e2e_work.py

test: $(STAMP) ## Run the tests
	@$(BIN)/pytest $(ARGS)

lint: $(STAMP) ## Check style and types (ruff, mypy)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(STAMP) ## Rewrite the sources in the project's style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(STAMP) ## Measure the simulator, in units of bare simpy
	@$(BIN)/python -m sim.bench $(ARGS)

clean: ## Remove .venv, caches and builds
	rm -rf .venv build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find foreman sim tests -type d -name __pycache__ -prune -exec rm -rf {} +

# Always from nothing: an environment patched in place is one that nobody else has. The interpreter's real path is taken
# before the old .venv goes, for an activated .venv offers its own python3.
$(STAMP): pyproject.toml
	@set -e; \
	note="Setting up .venv (the first time takes a minute or two) ..."; \
	if command -v uv >/dev/null 2>&1; then \
		echo "$$note"; rm -rf .venv; \
		uv venv --quiet --python '$(or $(PYTHON),>=3.11)' .venv; \
		uv pip install --quiet --python $(BIN)/python --editable '.[dev]'; \
		exit; \
	fi; \
	found=; unfit=; \
	for python in $(CANDIDATES); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		found=$$("$$python" -c 'import ensurepip, os, sys, venv; print(os.path.realpath(sys.executable))' 2>/dev/null) && break; \
		unfit=$${unfit:-$${python##*/}}; \
	done; \
	if [ -z "$$found$$unfit" ]; then \
		echo "Python 3.11 or newer is needed; none among: $(CANDIDATES). Name yours: make setup PYTHON=/path/to/python3" >&2; exit 1; \
	elif [ -z "$$found" ]; then \
		echo "$$unfit cannot make a venv. On Debian and Ubuntu: sudo apt install $$unfit-venv" >&2; exit 1; \
	fi; \
	echo "$$note"; rm -rf .venv; \
	"$$found" -m venv .venv; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@pwd -P >$(STAMP)
