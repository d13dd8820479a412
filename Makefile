# Everything that is done with this repository; `make` alone lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run test lint fmt docs lock bench bench-gateway test-kafka test-docker clean

# The first of these that is 3.11 to 3.13; `make PYTHON=…` chooses another.
PYTHON = $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$python && break; done)
UV_VERSION := 0.13.9
UV := .make/uv-$(UV_VERSION)/bin/uv
VENV := .venv/.made
MEMBERS := $(patsubst %/pyproject.toml,%,$(wildcard cli/pyproject.toml libs/*/pyproject.toml local/pyproject.toml \
	sandbox/pyproject.toml services/*/pyproject.toml))
PACKAGES = $(sort $(shell sed -n 's/^name = "\(.*\)"/\1/p' $(MEMBERS:%=%/pyproject.toml)))

help: ## List what there is to make
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

run: $(VENV) ## Run the whole system here, until Ctrl-C (VERBOSE=1: with the logs of the services)
	@.venv/bin/python -m attendara_local.machine
	@.venv/bin/python -m attendara_local

test: $(VENV) ## Run all tests: unit, integration and e2e (ARGS="…" for pytest)
	@.venv/bin/python -m attendara_local.machine browser
	@.venv/bin/pytest $(ARGS)

lint: $(VENV) ## Check style, types and the boundaries between packages
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy $(MEMBERS) tests
	@.venv/bin/lint-imports

fmt: $(VENV) ## Format, and mend what ruff can mend
	@.venv/bin/ruff check --fix
	@.venv/bin/ruff format

docs: $(VENV) ## Write the table of docs/configuration.md anew, from the services' settings
	@.venv/bin/python -m attendara_local.configuration

lock: $(UV) ## Lock the dependencies of all packages again, as the head of requirements.lock says
	@$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
		--group local --group dev $(PACKAGES:%=--no-emit-package %) pyproject.toml -o requirements.lock

bench: $(VENV) ## Measure how long changes and answers take here (ARGS="…" for the number of rounds)
	@.venv/bin/python -m attendara_local.machine
	@.venv/bin/python -m tests.benchmarks.story $(ARGS)

bench-gateway: $(VENV) ## Measure the gateway beside a bare route and the obvious way (ARGS="…" for the seconds of a round)
	@.venv/bin/python -m attendara_local.machine
	@.venv/bin/python -m tests.benchmarks.gateway $(ARGS)

test-kafka: $(VENV) ## Run the integration tests that need a broker against Apache Kafka itself (Java 17, Maven)
	@.venv/bin/python -m attendara_local.machine
	@.venv/bin/python -m tests.kafka $(ARGS)

test-docker: $(VENV) ## Build all images, run the whole with docker compose, and test it (root starts a Docker engine where none is)
	@.venv/bin/python -m tests.docker $(ARGS)

clean: ## Remove the data of `make run`
	@rm -rf .data

$(VENV): requirements.lock pyproject.toml $(MEMBERS:%=%/pyproject.toml) | $(UV)
	@echo "Setting up .venv"
	@test -x .venv/bin/python || $(UV) venv --quiet --python .make/uv-$(UV_VERSION)/bin/python .venv
	@VIRTUAL_ENV=.venv $(UV) pip sync --quiet --require-hashes requirements.lock
	@VIRTUAL_ENV=.venv $(UV) pip install --quiet --no-deps --no-build-isolation $(MEMBERS:%=--editable %)
	@touch $@

$(UV):
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed, and none was found (make PYTHON=…)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(ADD_VENV)
	@echo "Getting uv $(UV_VERSION)"
	@$(PYTHON) -m venv .make/uv-$(UV_VERSION)
	@.make/uv-$(UV_VERSION)/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# Debian keeps venv in a package of its own.
VENV_PACKAGE = $(notdir $(PYTHON))-venv
ADD_VENV = { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
	&& apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes $(VENV_PACKAGE) </dev/null >/dev/null; } \
	|| { echo "$(PYTHON) has no venv. On Debian: sudo apt-get install $(VENV_PACKAGE)"; exit 1; }
