# make demo: install everything and run the main job. make test: install everything and pass the tests.
PYTHON ?= python3
CORES ?= all
GENERATOR ?= biggan-deep-128
BIN := .venv/bin

.PHONY: demo test lint format docs closures bench first-contact clean

demo: .venv/installed
	@$(BIN)/snakemake --cores $(CORES)

test: .venv/installed
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check .
	$(BIN)/snakemake --lint
	$(BIN)/snakemake -s study/Snakefile --lint

format: .venv/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt .

docs: .venv/installed
	$(BIN)/python docs/configuration.py

closures: .venv/installed
	PYTHONPATH=tests $(BIN)/python -m helpers.closures > tests/closures.yaml

bench: .venv/installed
	$(BIN)/python bench/inversion.py

first-contact: .venv/installed
	$(BIN)/snakemake --cores $(CORES) first_contact --config experiment=first-contact generator=$(GENERATOR)

clean:
	rm -rf results/*/ logs benchmarks .snakemake

.venv/installed: requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@touch $@
