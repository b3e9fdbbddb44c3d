# make demo: install everything and run the main job. make test: install everything and pass the tests.
PYTHON ?= python3
CORES ?= all
GENERATOR ?= biggan-deep-128
MINUTES ?= 20
BIN := .venv/bin
# By content: another time stamp of requirements.lock, after a clone or a pull, installs nothing again.
INSTALLED := .venv/installed-$(firstword $(shell cksum requirements.lock))

.PHONY: demo test fuzz soak unlock quick lint format docs closures bench bench-search first-contact weights extras release clean

demo: $(INSTALLED)
	@$(BIN)/snakemake --cores $(CORES)

test: $(INSTALLED)
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

quick: $(INSTALLED)
	$(BIN)/python -m pytest -q -m "not slow"

fuzz: $(INSTALLED)
	FUZZ=10000 $(BIN)/python -m pytest -q -rP --timeout=3600 tests/test_fuzz.py

soak: $(INSTALLED)
	$(BIN)/python tests/soak.py --minutes $(MINUTES)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check .
	$(BIN)/snakemake --lint
	$(BIN)/snakemake -s workflow/Snakefile --lint
	$(BIN)/snakemake -s study/Snakefile --lint

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt .

docs: $(INSTALLED)
	$(BIN)/python docs/configuration.py

closures: $(INSTALLED)
	PYTHONPATH=tests $(BIN)/python -m helpers.closures > tests/closures.yaml

bench: $(INSTALLED)
	$(BIN)/python bench/inversion.py

# The painting and SqueezeNet's weights: `make weights` fetches both. Hours on a CPU; begun again, it goes on.
bench-search: $(INSTALLED)
	$(BIN)/python bench/search.py --picture $(PICTURE) --backbone $(BACKBONE)

unlock: $(INSTALLED)
	$(BIN)/snakemake --unlock

first-contact: $(INSTALLED)
	$(BIN)/snakemake --cores $(CORES) first_contact --config experiment=first-contact generator=$(GENERATOR)

weights: $(INSTALLED)
	$(BIN)/snakemake --cores 1 --until fetch --config experiment=wanderer generator=study loss=l1-lpips hydra="perceptual.net=squeeze"

extras: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/extras.txt
	$(BIN)/python -m pytest -q -m extras

release:
	$(PYTHON) tools/release.py $(VERSION)

clean:
	rm -rf results/*/ logs benchmarks .snakemake

$(INSTALLED):
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@rm -f .venv/installed*
	@touch $@
