# Two commands matter: `make sweep` and `make test`. Both set .venv up from the lock file first.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
SWEEP_LIMIT ?= 250
KILLS ?= 20

.PHONY: help install sweep validate test faults fuzz licences audit bench catalog-check columns check lock build clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: .venv/installed  ## set up .venv from requirements/lock.txt

.venv/installed: requirements/lock.txt requirements/bootstrap.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	VIRTUAL_ENV=.venv $(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements/lock.txt
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --editable .
	touch $@

sweep: install  ## the main job: three ImageNet models, two ResNet-20 of ours and the pixels x three image sets, then the controls of one of them; lake/ and report/index.html
	$(BIN)/u1 sweep --models 'efficientnet_lite*,resnet20_*,pixels' --datasets cifar10,digits,phantom --limit $(SWEEP_LIMIT)
	$(BIN)/u1 sweep --models resnet20_onehot --datasets cifar10,digits --variants attribution,population --limit $(SWEEP_LIMIT) --location-limit 0

validate: install  ## false positives, power and coverage of every test, in minutes
	$(BIN)/u1 validate

test: install  ## every test, the slow ones too, but for the long faults; the ten slowest are told
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --durations 10 -m 'not faults'

faults: install  ## kills, a lost server, full disks, clocks, hangs on real processes, docs/faults.md; KILLS=200 takes an hour
	U1_FAULT_KILLS=$(KILLS) U1_FAULT_TABLE=docs/faults.md $(BIN)/python -m pytest -n0 tests/faults

fuzz: install  ## catalogs, data sets, queries and lakes of 10,000 damaged kinds each
	U1_FUZZ_EXAMPLES=10000 $(BIN)/python -m pytest -n auto --timeout 3600 tests/fuzz

licences: install  ## what the locked packages say their licences are, docs/licences.md
	$(BIN)/python benchmarks/licences.py

audit: install  ## known vulnerabilities of the locked packages, from PyPI's advisories; needs the internet
	$(BIN)/uv tool run pip-audit --strict --disable-pip --require-hashes -r requirements/lock.txt

bench: install  ## how fast, against what: docs/benchmarks.md
	$(BIN)/python benchmarks/report.py

catalog-check: install  ## the optical path of every network of torchvision and timm, docs/models.md
	$(BIN)/python benchmarks/models_page.py

columns: install  ## in which file and line every public column is computed, docs/columns.md
	$(BIN)/python benchmarks/columns_page.py

check: install  ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

lock:  ## recompile the lock files from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	    --extra weights --extra dev --extra bench pyproject.toml -o requirements/lock.txt
	grep '^uv==' requirements/lock.txt | tr -d '\\' | $(BIN)/uv pip compile --quiet --universal --generate-hashes \
	    --no-emit-index-url --no-annotate - -o requirements/bootstrap.txt

build: install  ## sdist and wheel in dist/
	$(BIN)/python -m build --installer uv

clean:  ## remove what was built; the lake and the report stay
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
