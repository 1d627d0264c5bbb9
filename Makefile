# Every target does its own set-up: a Python (>= 3.11) with venv, and make, are all it needs.

.DEFAULT_GOAL := help
.PHONY: help up demo test test-browser test-amqp test-virtuoso lint audit bench
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Words for ld-server, such as: make up ARGS="--port 8080"
ARGS ?=
# Words for pytest, such as: make test TESTS=tests/unit
TESTS ?=

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

up: $(READY) ## Start everything on http://localhost:8000; Ctrl-C stops it
	@exec $(BIN)/ld-server up $(ARGS)

demo: $(READY) ## The same, with a small fleet to explore
	@exec $(BIN)/ld-server demo $(ARGS)

test: $(READY) ## Run all tests
	@exec $(BIN)/python -m pytest -n 2 --dist loadfile $(TESTS)

test-browser: $(READY) ## Look at the pages with headless Chromium, which apt-get installs where it is missing (as root)
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver fonts-dejavu-core; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,browser]'
	@exec $(BIN)/python -m pytest tests/browser

test-amqp: $(READY) ## Publish to a RabbitMQ of its own on loopback; apt-get installs it where it is missing (as root)
	@test -x /usr/lib/rabbitmq/bin/rabbitmq-server || \
	  { apt-get update -qq && RUNLEVEL=1 apt-get install -y -qq --no-install-recommends rabbitmq-server; }
	@exec $(BIN)/python -m pytest tests/amqp

test-virtuoso: $(READY) ## Keep the graphs in a Virtuoso of its own on loopback; apt-get installs it where it is missing (as root)
	@command -v virtuoso-t >/dev/null && command -v isql-vt >/dev/null || \
	  { apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends virtuoso-opensource; }
	@exec $(BIN)/python -m pytest tests/virtuoso

lint: $(READY) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

audit: $(READY) ## Ask the Python advisory database about every package that we pin (needs the network)
	@test -x $(VENV)/audit/bin/pip-audit || \
	  { $(BIN)/python -m venv $(VENV)/audit && $(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit; }
	@exec $(VENV)/audit/bin/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip

bench: $(READY) ## Measure, and print the tables of docs/benchmarks.md
	@exec $(BIN)/python -m bench

$(READY): pyproject.toml constraints.txt
	@test -x $(BIN)/python || { \
	  for python in python3.13 python3.12 python3.11 python3 python3.14; do \
	    "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
	    echo "Making $(VENV) with $$($$python --version)"; "$$python" -m venv $(VENV) && exit 0; \
	  done; \
	  echo "ld-reservations needs Python 3.11 or newer with the venv module (on Debian: apt install python3-venv)." >&2; exit 1; }
	@echo "Installing ld-reservations into $(VENV) (once, and when pyproject.toml or constraints.txt change)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
