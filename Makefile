# The one list of verbs; CI calls the same. Each installs what it needs on Debian 12 or later.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON := .venv/bin/python
CONFIGURATION := orthanc.json
WORKERS := 3# more than two cores: tests over real servers wait more than they compute
TESTS := tests
EXPORT := var/matching-questions.ndjson
MODEL := var/matching-model.json

export TCP_NODELAY := 1# without it, Debian's DICOM tools move some 11 images a second

.PHONY: help setup setup-test pins run demo test chaos lint bench bench-matching train-matching mutants docs image up down

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

setup: ## install what the router needs: Debian's packages, and .venv
	@docker/setup.sh run

setup-test: ## install what the tests need besides
	@docker/setup.sh test

pins: setup ## write docker/requirements*.txt anew from pyproject.toml
	$(PYTHON) docker/pin.py

run: setup ## the router alone, in the foreground, with orthanc.json; data under var/
	@for port in $$(sed -n 's/.*"\(Http\|Dicom\)Port" *: *\([0-9]*\).*/\2/p' $(CONFIGURATION)); do \
		if (: </dev/tcp/127.0.0.1/$$port) 2>/dev/null; then \
			echo "make run: port $$port is taken; stop what listens there, or change it in $(CONFIGURATION)" >&2; exit 1; \
		fi; \
	done
	@mkdir -p var
	exec Orthanc $(CONFIGURATION)

demo: setup-test ## router, two VNAs, a PACS and a CRM on loopback, with sample studies; Ctrl-C ends all (DEMO=--once: by itself)
	@exec $(PYTHON) -m tests.demo $(DEMO)

test: setup-test ## every test, real servers included (TESTS=tests/domain for some)
	$(PYTHON) -m pytest -n $(WORKERS) --dist worksteal $(TESTS)

chaos: setup-test ## the long campaigns of kills and dead archives; RELAIS_CHAOS_SEED=n repeats one
	$(PYTHON) -m pytest -m chaos --timeout 1800 tests

lint: setup-test ## linters, formats, types, layers
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy
	$(PYTHON) -m pytest -q tests/test_layers.py

bench: setup-test ## benchmarks with peers, as ratios
	$(PYTHON) -m tests.bench

bench-matching: setup-test .venv-matching ## how well patients are matched, beside Splink and recordlinkage; takes half an hour (MATCHING=febrl for some)
	$(PYTHON) -m tests.matching $(MATCHING)

train-matching: setup ## learn a matching model: DATABASE=postgresql://… or EXPORT=questions.ndjson; writes MODEL=var/matching-model.json
	@mkdir -p var
	@if [ -n "$(DATABASE)" ]; then PYTHONPATH=plugin $(PYTHON) -m relais.matching_training export "$(DATABASE)" "$(EXPORT)"; fi
	PYTHONPATH=plugin $(PYTHON) -m relais.matching_training learn "$(EXPORT)" "$(MODEL)" $(TRAINING)

.venv-matching: pyproject.toml
	$(PYTHON) -m venv --clear $@
	$@/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$@/bin/python -m pip install --quiet --group matching
	touch $@

mutants: setup-test ## mutation testing of what decides; takes long (MUTANTS=kernel for some)
	$(PYTHON) -m tests.mutants $(MUTANTS)

docs: setup-test ## write the generated parts of the manual anew
	PYTHONPATH=plugin $(PYTHON) -m tests.docs

image: ## the container image
	docker build --file docker/Dockerfile --tag relais .

up: image ## router on PostgreSQL and two VNAs in containers
	docker compose --file docker/compose.yml up --detach

down: ## end what `make up` started; volumes stay
	docker compose --file docker/compose.yml down
