# Everything lives in .venv at the root. `make demo` installs no torch; `make test` does.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIP = .venv/bin/python -m pip install --quiet --constraint constraints.txt
SOURCES = $(shell git ls-files 'src/*.py' 'tests/*.py' 'benchmarks/*.py' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help demo up test check format chaos bench-aa bench-cold-start bench-gateway bench-load \
    bench-model bench-prediction bench-simulate bench-statistics clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

demo: .venv/demo ## Set up, compare both deployments with a quick load, print the verdict
	.venv/bin/twinserve compare --profile quick

up: .venv/demo ## Set up, run both deployments and the page
	.venv/bin/twinserve up

test: .venv/test check ## Set up with torch and the test tools, check the code, run the tests
	.venv/bin/python -m pytest

check: .venv/test ## Format, lint, types and import arrows
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

format: .venv/test ## Put the code into shape
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

chaos: .venv/test ## Break instances, gateways and disks under 50 users; print what was lost
	.venv/bin/python benchmarks/chaos.py

bench-aa: .venv/demo ## The same server on both sides, 200 times: how often a winner is named
	.venv/bin/python benchmarks/aa_servers.py

bench-cold-start: .venv/demo ## From spawn to the first answer, taken apart, against a bare import
	.venv/bin/python benchmarks/cold_start.py

bench-gateway: .venv/demo ## What the gateway adds to a request, and how many it carries
	.venv/bin/python benchmarks/gateway_overhead.py

bench-load: .venv/test ## The load generator: truth, speed beside Locust and JMeter, a million rows
	.venv/bin/python benchmarks/load_speed.py

bench-model: .venv/test ## 512x512 on one core against the published way of serving
	.venv/bin/python benchmarks/model_speed.py

bench-prediction: .venv/test ## A calibrated simulation predicts a live run that it has not seen
	.venv/bin/python benchmarks/simulation_prediction.py

bench-simulate: .venv/test ## The simulation beside simfaas: the same cold starts, how much faster
	.venv/bin/python benchmarks/simulation.py

bench-statistics: .venv/demo ## Coverage, false winners and power of the statistics
	.venv/bin/python benchmarks/interval_coverage.py

clean: ## Remove the environment and what tools left
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

.venv/demo: pyproject.toml constraints.txt packages/faces/pyproject.toml | .venv/bin/python
	$(PIP) --editable '.[lab]' ./packages/faces
	touch $@

.venv/test: .venv/demo
	$(PIP) --editable '.[lab,train,containers,cloud]' --group test
	touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import ensurepip, sys; assert sys.version_info >= (3, 11)' || { \
	    echo 'Python 3.11 or later with venv is needed: apt-get install python3.11-venv'; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --constraint constraints.txt pip
