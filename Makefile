# One line to remember each: `make help`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo notebooks test test-slow test-models bench lint types lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/ready ## an environment of its own in .venv, exact versions with hashes

$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "curation needs Python 3.11 to 3.13, this is %d.%d: make PYTHON=python3.12 ..." % v)'
	@echo "installing into $(VENV) (once, about 2 GB)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517 --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup $(VENV)/torch ## the whole pipeline on a small web that is generated on the spot: shards, report, training steps
	@$(BIN)/python -m curation.testing demo-output/web
	@$(BIN)/python -m curation.testing serve -- $(BIN)/curation run recipes/demo.yaml --work demo-output/run --set fetch.network.mirror={mirror}
	@$(BIN)/curation report --work demo-output/run
	@$(BIN)/python examples/train_clip.py demo-output/run --steps 60

$(VENV)/torch: $(VENV)/ready
	@echo "installing torch, for what trains"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	@touch $@

notebooks: setup ## the notebooks on the demo's output, top to bottom, and its second run that 05 compares it with
	@test -d demo-output/run/manifest || { echo "there is no demo-output/run with a manifest yet: make demo"; exit 1; }
	@test -d demo-output/run-b || { rm -rf demo-output/run-b.part && cp -R demo-output/run demo-output/run-b.part && mv demo-output/run-b.part demo-output/run-b; }
	@$(BIN)/python -m curation.testing serve -- $(BIN)/curation run recipes/demo.yaml --work demo-output/run-b --set balance.tail_share=0.2 --set fetch.network.mirror={mirror}
	@$(BIN)/python notebooks/run.py

test: setup ## the tests (10 minutes at most on 2 cores)
	@$(BIN)/python -m pytest -m "not slow"

test-slow: setup ## kills, large inputs, clusters
	@$(BIN)/python -m pytest -m slow

test-models: setup ## what takes torch and transformers (installs them)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 'transformers[serving]>=5.23,<6' pillow python-multipart soundfile soxr
	@$(BIN)/python -m pytest tests/models

bench: setup ## benchmarks against named peers; one: make bench ROW=warc-pages
	@$(BIN)/python -m bench $(ROW)

lint: setup ## ruff
	@$(BIN)/ruff check .

types: setup ## mypy, strict
	@$(BIN)/mypy

lock: setup ## requirements.lock anew from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --extra s3 --extra segment --extra dev pyproject.toml -o requirements.lock

clean: ## remove what make made
	rm -rf $(VENV) demo-output
