# Two commands matter: `make up` starts the bay, `make test` proves it.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: up test coverage lint conformance benchmarks docs site lock clean

$(VENV)/.installed: requirements.lock pyproject.toml
	@echo "Installing into $(VENV) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@$(BIN)/python -m compileall -q -j 0 src  # else the first processes of a bay each do it
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed requirements-test.lock
	@echo "Installing what the tests need …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements-test.lock
	@touch $@

up: $(VENV)/.installed  ## start three nodes, run the crossings, stay up (ONCE=1: exit when they are done)
	@$(BIN)/wantong up $(if $(ONCE),--once) $(if $(JSON),--json)

test: $(VENV)/.installed-test  ## the whole suite; what can reach a database on both
	@tools/test $(ARGS)

coverage: $(VENV)/.installed-test  ## what the suite on SQLite runs through, as pages in htmlcov/
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=html $(ARGS)

lint: $(VENV)/.installed-test  ## style, types, floors
	@$(BIN)/ruff check src tests benchmarks tools conformance
	@$(BIN)/ruff format --check src tests benchmarks tools conformance
	@$(BIN)/mypy
	@$(BIN)/lint-imports

conformance: $(VENV)/.installed-test  ## other people's suites and clients against us
	@tools/debian-packages conformance
	@conformance/run

benchmarks: $(VENV)/.installed-test  ## figures as ratios, each beside its peer or limit
	@benchmarks/run

docs: $(VENV)/.installed-test  ## the documentation as pages in site/
	@$(BIN)/python tools/tasks.py > docs/tasks.md
	@$(BIN)/python tools/authorisation.py > docs/authorisation.md
	@$(BIN)/python tools/openid_modules.py > docs/openid-modules.md
	@$(MAKE) --no-print-directory site

site: $(VENV)/.installed-test
	@$(BIN)/mkdocs build -q --strict

lock:  ## newest versions that pyproject.toml allows
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header pyproject.toml --extra postgresql --extra hsm -o requirements.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header pyproject.toml --extra postgresql --extra hsm --extra test --extra docs -c requirements.lock -o requirements-test.lock

clean:
	rm -rf $(VENV) bay site build dist .pytest_cache .mypy_cache .ruff_cache
