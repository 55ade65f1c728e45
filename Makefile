# Everything a working day needs. What it makes lands in ignored folders of this directory; `make clean` names them.
# Into files of the repository itself write only `make format`, `make lock`, and `make bench` (docs/benchmarks).

# An interpreter to use instead of the first fitting one:   make test PYTHON=python3.13
PYTHON ?=
# Not every shell puts the home in the place of this one.
override PYTHON := $(patsubst ~/%,$(HOME)/%,$(PYTHON))
# More for pytest:   make test ARGS="-k status -x"
ARGS ?=

export PYTHON
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help venv demo test lint types format docs bench matrix system lock build clean

# One stamp for each choice of PYTHON, so that another choice makes .venv anew instead of quietly using the old one.
nothing :=
VENV := .venv/.made$(addprefix -,$(subst $(nothing) $(nothing),_,$(subst /,_,$(PYTHON))))

help:  ## what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(VENV)  ## make .venv, and nothing more
	@:

demo: $(VENV)  ## see the provider at work, with a Dify that runs in-process
	@.venv/bin/python scripts/demo.py

test: $(VENV)  ## run the tests
	@.venv/bin/python -m pytest -n auto $(ARGS)

lint: $(VENV)  ## check style and format
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .

types: $(VENV)  ## check types
	@.venv/bin/mypy

format: $(VENV)  ## mend what lint can mend
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

docs: $(VENV)  ## build the documentation into docs/_build; a warning is an error
	@.venv/bin/python -c 'import sys; sys.exit("Sphinx needs Python 3.11 or newer." if sys.version_info < (3, 11) else 0)'
	@$(MAKE) --silent .venv/.docs
	@.venv/bin/python -m sphinx -W --keep-going -n -q docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV) .venv/.bench  ## measure, and make the page of the documentation that shows it
	@.venv/bin/python -m benchmarks --page docs/benchmarks $(ARGS)

matrix:  ## test on every supported Airflow with every Python that is here
	@scripts/matrix.sh

system: $(VENV)  ## run DAGs in a real `airflow standalone`, which takes a few minutes
	@.venv/bin/python -m tests.system

lock:  ## choose the newest versions of all dependencies
	@scripts/lock

build:  ## build sdist and wheel into dist/
	@rm -rf dist
	@scripts/uv build --quiet --out-dir dist
	@ls dist/*

clean:  ## remove everything that these targets made
	@rm -rf .venv .tools .matrix .pictures docs/_build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV): pyproject.toml requirements/dev.lock
	@echo "Setting up .venv"
	@if ! { test -e $@ && .venv/bin/python -c ''; } 2>/dev/null; then \
		scripts/uv venv --quiet --clear --python '$(or $(PYTHON),>=3.10,<3.14)' .venv; \
	fi
	@scripts/uv pip install --quiet --exact --python .venv/bin/python \
		--requirements requirements/dev.lock --editable . --reinstall-package airflow-provider-dify
	@touch $@

# They depend on the stamp of .venv because making .venv removes what is not in its lock.
.venv/.%: requirements/%.lock $(VENV)
	@scripts/uv pip install --quiet --python .venv/bin/python --requirements $<
	@touch $@
