PYTHON ?= python3
BIN := .venv/bin
# Versions are pinned in constraints.txt; the ranges a user gets are in pyproject.toml.
INSTALL := $(BIN)/python -m pip install --quiet -c constraints.txt
# The development packages, as pip takes them.
DEV = $$($(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['dependency-groups']['dev'])")

.PHONY: help demo test test-all fuzz bench resolve clean

help: ## List the targets.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: .venv/demo ## Install vecload and run the demo.
	$(BIN)/vecload demo

test: .venv/test ## Check style, types and imports, and run the tests.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2

test-all: .venv/test ## Run every test, with the long campaigns that `make test` leaves out.
	$(BIN)/pytest -n 2 -m "campaign or not campaign"

fuzz: .venv/test ## Fuzz the readers: SECONDS=600, FORMAT=gensim for one of them, JOBS=2, SEED=1.
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),600) $(if $(FORMAT),--format "$(FORMAT)") $(if $(JOBS),--jobs $(JOBS)) $(if $(SEED),--seed $(SEED))

bench: .venv/test ## Run the benchmarks.
	for topic in load_text formats fasttext_models layers pooling spaces; do $(BIN)/python benchmarks/$$topic.py || exit; done

resolve: .venv/bin/python ## Show that the pinned set resolves without this machine's pip settings. Installs nothing.
	env -u PIP_FIND_LINKS -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL -u PIP_CONSTRAINT PIP_CONFIG_FILE=/dev/null \
		$(INSTALL) --dry-run --ignore-installed -e . $(DEV)

clean: ## Remove the virtual environment.
	rm -rf .venv

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/python pyproject.toml constraints.txt
	$(INSTALL) -e .
	touch $@

.venv/test: .venv/demo
	$(INSTALL) $(DEV)
	touch $@
