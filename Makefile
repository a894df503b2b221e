# `make` runs the quick start; `make help` lists the targets.

PYTHON ?= python3
BIN := .venv/bin
CONFIG ?= config/paper.yaml
# One file of tests per core.
PYTEST = pytest --numprocesses auto --dist loadfile --no-loadscope-reorder
SLOW = workflow or slurm or browser
TORCH = $$(sed -n 's/^torch = \["\(.*\)"\]/\1/p' pyproject.toml)
# The environment brings what a fresh machine lacks: only $(PYTHON), make and a C library are
# needed.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := quickstart
.PHONY: quickstart paper test test-rest test-all docs bench lint format reference rulegraph lock clean help

quickstart: $(BIN)/.ready  ## run the quick start and print its headline table (the default)
	@snakemake --quiet reason

paper: $(BIN)/.ready  ## run the studies of config/paper.yaml, or of CONFIG=mine.yaml, and typeset results/paper.pdf
	@snakemake --quiet reason --max-jobs-per-timespan 1000/1m --configfile $(CONFIG) -- paper
	@echo "Paper: results/paper.pdf"

test: $(BIN)/.ready  ## run the quick tests and one small study, in minutes
	@$(PYTEST) -m "not ($(SLOW))"

test-rest: $(BIN)/.ready  ## run all other tests: they start Snakemake, Slurm or a browser
	@$(PYTEST) -m "$(SLOW)"

test-all: $(BIN)/.ready  ## run all tests
	@$(PYTEST)

docs: $(BIN)/.ready  ## build the documentation into docs/_build/html, without a network
	@rm -rf docs/_build docs/development/_api
	@sphinx-build -W --keep-going -q docs docs/_build/html

bench: $(BIN)/.ready  ## measure preparing, training and scoring: speed, memory, scores (an hour)
	@$(MAKE) --no-print-directory .venv-scvi/.ready || echo "scVI could not be installed: it is left out" >&2
	@python tests/benchmarks/training.py
	@python tests/benchmarks/scoring.py
	@python tests/benchmarks/training_scores.py
	@python tests/benchmarks/large_training.py
	@python tests/benchmarks/large_data.py
	@python tests/benchmarks/gpu.py || echo "no GPU: its benchmark is left out" >&2

lint: $(BIN)/.ready  ## check format and style, and lint the workflow
	@ruff check scripts tests .ci
	@ruff format --check scripts tests .ci
	@snakefmt --check Snakefile workflow
	@PYTHONPATH=scripts lint-imports --no-logo
	@basedpyright
	@snakemake --lint

format: $(BIN)/.ready  ## format all code
	@ruff check --fix scripts tests .ci
	@ruff format scripts tests .ci
	@snakefmt Snakefile workflow

reference: $(BIN)/.ready  ## write the generated reference of configuration and files, and the table of kept results
	@PYTHONPATH=scripts python -m sclatent.pipeline.documents

rulegraph: $(BIN)/.ready  ## draw the rule graph of the documentation; needs Graphviz's dot
	@snakemake --rulegraph dot -q all 2>/dev/null > .rulegraph.dot && dot -Tsvg .rulegraph.dot -o workflow/report/rulegraph.svg; \
	  status=$$?; rm -f .rulegraph.dot; exit $$status

lock:  ## resolve the dependencies of pyproject.toml anew; needs uv
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --group dev --group torch-needs pyproject.toml -o requirements.lock

clean:  ## remove the environment and everything that runs made, the reference results apart
	@rm -rf .venv .venv-scvi .snakemake
	@find results -mindepth 1 -maxdepth 1 ! -name reference -exec rm -rf {} + 2>/dev/null || true

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 12

# All packages but torch come from the lock, checked by hash. torch's wheel comes from wherever pip
# is set to look (CPU or CUDA) and must be one of the wheels in requirements-torch.sha256. The last
# step compiles what umap caches on first import.
$(BIN)/.ready: requirements.lock requirements-torch.sha256
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sclatent needs Python 3.11 or newer; set PYTHON, as in: make PYTHON=python3.12")'
	@echo "Setting up .venv (a few minutes, once)"
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip download -qq --no-deps --dest .venv/torch "$(TORCH)"
	@$(BIN)/python -m pip hash .venv/torch/*.whl | grep -qFf requirements-torch.sha256 \
	  || { echo "the torch wheel that pip found is none of those in requirements-torch.sha256" >&2; exit 1; }
	@$(BIN)/python -m pip install -qq .venv/torch/*.whl && rm -r .venv/torch
	@$(BIN)/python -m pip check --quiet
	@$(BIN)/python -W ignore -c 'import umap'
	@touch $@

# scVI, for the benchmark of training, with the same torch; its other packages are not ours.
.venv-scvi/.ready:
	@echo "Setting up .venv-scvi (two minutes, once)"
	@rm -rf .venv-scvi && $(PYTHON) -m venv .venv-scvi
	@.venv-scvi/bin/python -m pip install -qq "$(TORCH)"
	@.venv-scvi/bin/python -m pip install -qq scvi-tools==1.4.2
	@touch $@
