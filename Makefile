PYTHON ?= python3
BIN := .venv/bin
# Versions are pinned in constraints.txt; the ranges a user gets are in pyproject.toml.
INSTALL := $(BIN)/python -m pip install --quiet -c constraints.txt

.PHONY: demo test bench clean

demo: .venv/demo
	$(BIN)/vecload demo

test: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2

bench: .venv/test
	for topic in load_text formats fasttext_models layers pooling spaces; do $(BIN)/python benchmarks/$$topic.py || exit; done

clean:
	rm -rf .venv

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/python pyproject.toml constraints.txt
	$(INSTALL) -e .
	touch $@

.venv/test: .venv/demo
	$(INSTALL) $$($(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['dependency-groups']['dev'])")
	touch $@
