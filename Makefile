# A fresh machine needs make, git and Python 3.11 or newer; everything else is installed into .venv, at the versions of uv.lock.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHONS := python3 python3.14 python3.13 python3.12 python3.11 python
BIN := .venv/bin
STAMP := .venv/.synced
UV := UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON_DOWNLOADS=never $(BIN)/uv
# A process for each core; the tests of one file share one, and so what they prepare.
PYTEST := $(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile
# The tests that need no training: enough for another kernel or another set of versions.
FAST := tests/kernels tests/runtime tests/features

.PHONY: help demo test check bench docs notebooks lint format types rooms slow spark reference dist lean oldest bench-quality clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

demo: $(STAMP) ## Learn from the travel community, write the call list and the report to demo-output
	$(BIN)/leadlight demo --data data/travel --out demo-output

test: $(STAMP) ## Run the tests and the examples in docstrings (under 10 minutes)
	@.ci/system_packages.sh
	$(PYTEST)

check: lint types rooms docs slow spark reference lean oldest notebooks ## The rest of what CI runs (under 60 minutes)
	@echo "make check: everything passed"

lint: $(STAMP) ## Check format and style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(STAMP) ## Format the code and repair what can be repaired safely
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP) ## Check the types of src, and of a program that uses the front door
	$(BIN)/mypy
	$(BIN)/mypy --strict examples/typed_front_door.py
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --pythonpath $(BIN)/python examples/typed_front_door.py

rooms: $(STAMP) ## Check that imports point down only
	$(BIN)/lint-imports

docs: notebooks ## Check links, build the documentation site into build/docs; a warning is an error
	$(BIN)/python .ci/check_links.py
	rm -rf docs/api/generated build/docs
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --jobs 2 --doctree-dir build/doctrees docs build/docs

notebooks: $(STAMP) ## Run every notebook from top to bottom, each under a minute, for the site
	$(BIN)/python .ci/run_notebooks.py notebooks --out docs/notebooks

slow: $(STAMP) ## Run the tests that take too long for make test
	$(PYTEST) -m slow

spark: $(STAMP) ## Run the tests on Spark, in an environment of their own
	@.ci/system_packages.sh
	$(UV) export --quiet --frozen --group test --extra spark --no-emit-project --output-file build/spark.txt
	$(UV) venv --quiet --clear --python $(BIN)/python build/spark
	$(UV) pip install --quiet --python build/spark --requirements build/spark.txt
	$(UV) pip install --quiet --python build/spark --no-deps --editable .
	build/spark/bin/pytest -m spark

reference: $(STAMP) ## Run the fast tests with the NumPy kernels
	LEADLIGHT_KERNELS=reference $(PYTEST) -q $(FAST)

dist: $(STAMP) ## Build sdist and wheel (the wheel from the sdist), check what is in them
	rm -rf build/dist
	$(UV) build --quiet --out-dir build/dist
	$(BIN)/python .ci/check_dist.py build/dist

lean: dist ## Prove that load and predict need numpy and nothing else
	rm -rf build/lean
	$(BIN)/python .ci/make_bundle.py build/lean/bundle
	$(UV) venv --quiet --python $(BIN)/python build/lean/venv
	$(UV) pip install --quiet --python build/lean/venv --no-deps build/dist/*.whl \
		"numpy==$$($(BIN)/python -c 'import numpy; print(numpy.__version__)')"
	$(BIN)/python tests/lean_smoke.py build/lean/bundle > build/lean/full.json
	cd build/lean && venv/bin/python ../../tests/lean_smoke.py bundle > lean.json
	cmp build/lean/full.json build/lean/lean.json
	@echo "make lean: equal answers with and without the training stack"

oldest: dist ## Run the fast tests with the oldest dependencies that are promised
	rm -rf build/oldest && mkdir -p build/oldest
	$(UV) pip compile --quiet --python $(BIN)/python --resolution lowest-direct --group test pyproject.toml \
		--output-file build/oldest/requirements.txt
	$(UV) venv --quiet --python $(BIN)/python build/oldest/venv
	$(UV) pip install --quiet --python build/oldest/venv --requirements build/oldest/requirements.txt
	$(UV) pip install --quiet --python build/oldest/venv --no-deps build/dist/*.whl
	build/oldest/venv/bin/pytest -q $(FAST)

bench: $(STAMP) ## Run the benchmarks, and write docs/benchmarks.md from what they print (see benchmarks/README.md)
	@mkdir -p build/bench; for each in $$(find benchmarks -maxdepth 1 -name 'bench_*.py' | sort); do \
		echo "== $$each"; $(BIN)/python "$$each" | tee build/bench/$$(basename "$$each" .py).md; done
	$(BIN)/python benchmarks/page.py build/bench docs/benchmarks.md

bench-quality: $(STAMP) ## Judge the learner beside others (hours; see benchmarks/README.md)
	$(BIN)/python benchmarks/bench_quality.py --judge --automl --out build/quality/judge.md

clean: ## Remove everything that make and the tools have made
	rm -rf .venv build demo-output .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis src/*.egg-info
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml uv.lock setup.py $(wildcard src/leadlight/kernels/csrc/*)
	@python=; for each in $(PYTHONS); do \
		if "$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$each; break; fi; done; \
	if [ -z "$$python" ]; then \
		echo "leadlight needs Python 3.11 or newer; none of these is one: $(PYTHONS). Install it and run make again." >&2; exit 1; fi; \
	if ! [ -x $(BIN)/python ]; then \
		if ! "$$python" -m venv .venv; then rm -rf .venv; \
			echo "$$python -m venv failed: install the venv module of this Python (Debian, Ubuntu: apt-get install python3-venv)" >&2; \
			exit 1; fi; fi
	@[ -x $(BIN)/uv ] || $(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	@# Where only a mirror that pip knows can be reached, pip installs the same versions, checked by the same hashes.
	@if ! $(UV) sync --quiet --frozen --group dev; then \
		echo "uv cannot fetch the locked packages from PyPI; trying pip and the index it is configured for" >&2; \
		$(UV) export --quiet --frozen --group dev --no-emit-project --output-file .venv/locked.txt; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .venv/locked.txt; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .; fi
	@touch $@
