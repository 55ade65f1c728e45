# Everything you need for a working day. The results are in ignored folders of this directory; `make clean` removes them.
# Only `make format`, `make lock` and `make bench` (docs/benchmarks) write to files of the repository itself.

# Another interpreter than the first one that fits:   make test PYTHON=python3.13
PYTHON ?=
# Not every shell expands a tilde here.
override PYTHON := $(patsubst ~/%,$(HOME)/%,$(PYTHON))
# More options for pytest:   make test ARGS="-k status -x"
ARGS ?=

export PYTHON
# With it, each process would compile all of Airflow again, which takes seconds.
unexport PYTHONDONTWRITEBYTECODE
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help venv demo test test-all perf lint types format docs bench matrix system lock build clean

# One stamp per PYTHON, so that another choice rebuilds .venv instead of quietly using the old one.
nothing :=
VENV := .venv/.made$(addprefix -,$(subst $(nothing) $(nothing),_,$(subst /,_,$(PYTHON))))

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(VENV)  ## create .venv
	@:

demo: $(VENV)  ## see the provider at work with a built-in Dify (less than a minute; ARGS=--verbose: with the log)
	@.venv/bin/python -m scripts.demo $(ARGS)

test: $(VENV)  ## run the tests (about 4 minutes on two cores)
	@.venv/bin/python -m pytest -n auto --dist worksteal $(ARGS)

test-all: $(VENV)  ## run large tests, whole programs and all random examples too (about 10 minutes)
	@EXAMPLES=all .venv/bin/python -m pytest -n auto -m "not fuzz and not perf" $(ARGS)

perf: $(VENV)  ## check time limits; needs a quiet machine (about 1 minute)
	@.venv/bin/python -m pytest -m perf $(ARGS)

lint: $(VENV)  ## check style and format
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .

types: $(VENV)  ## check types
	@.venv/bin/mypy

format: $(VENV)  ## fix what lint can fix
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

docs: $(VENV)  ## build the documentation into docs/_build; warnings are errors
	@.venv/bin/python -c 'import sys; sys.exit("Sphinx needs Python 3.11 or newer." if sys.version_info < (3, 11) else 0)'
	@$(MAKE) --silent .venv/.docs
	@.venv/bin/python -m sphinx -W --keep-going -n -q docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV) .venv/.bench  ## measure, and update the benchmark page
	@.venv/bin/python -m benchmarks --page docs/benchmarks $(ARGS)

matrix:  ## test every supported Airflow with every installed Python
	@scripts/matrix.sh

system: $(VENV)  ## run DAGs in a real `airflow standalone` (a few minutes)
	@.venv/bin/python -m tests.system

lock:  ## update all dependencies to their newest versions
	@scripts/lock

build:  ## build sdist and wheel into dist/
	@rm -rf dist
	@scripts/uv build --quiet --out-dir dist
	@ls dist/*

clean:  ## remove everything that these targets created
	@rm -rf .venv .tools .matrix .pictures docs/_build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV): pyproject.toml requirements/dev.lock
	@scripts/uv --version >/dev/null
	@if ! { test -e $@ && .venv/bin/python -c ''; } 2>/dev/null; then \
		scripts/uv venv --quiet --clear --python '$(or $(PYTHON),>=3.10,<3.14)' .venv; \
	fi
	@scripts/patiently "Installing Airflow and other packages into .venv (once)" \
		scripts/uv pip install --quiet --exact --python .venv/bin/python \
		--requirements requirements/dev.lock --editable . --reinstall-package airflow-provider-dify
	@touch $@

# They depend on the stamp of .venv because creating .venv removes packages that are not in its lock.
.venv/.%: requirements/%.lock $(VENV)
	@scripts/uv pip install --quiet --python .venv/bin/python --requirements $<
	@touch $@
