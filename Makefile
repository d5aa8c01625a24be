# `make recover` and `make test` do all of their own set-up and are quick the second time.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: recover test lint clean

recover: .venv/core.stamp
	$(BIN)/interlayer recover sample:astronaut --task circulant:0.01 --out recovered --seed 0

test: lint
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered --cov-fail-under=90

lint: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

clean:
	rm -rf .venv recovered build dist htmlcov .coverage .pytest_cache .ruff_cache

.venv/core.stamp: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/test.stamp: .venv/core.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,dev]'
	touch $@
