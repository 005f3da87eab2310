# Everything installs itself into .venv; needs Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
VENV := .venv
SEEDS ?= 2000
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Spark's own environment: it is half a gigabyte.
SPARK_VENV := .venv-spark
SPARK_BIN := $(SPARK_VENV)/bin
SPARK_READY := $(SPARK_VENV)/.ready
# The template linters' own environment, see pyproject.toml.
TEMPLATE_VENV := .venv-templates
TEMPLATE_BIN := $(TEMPLATE_VENV)/bin
TEMPLATE_READY := $(TEMPLATE_VENV)/.ready
# What a release is checked with, and environments of nothing but what it brings.
RELEASE_VENV := .venv-release
RELEASE_BIN := $(RELEASE_VENV)/bin
RELEASE_READY := $(RELEASE_VENV)/.ready
# An engine that holds requests against policies: a program of its own, never a dependency.
FAKECLOUD_VERSION := 0.51.0
FAKECLOUD := .fakecloud/$(FAKECLOUD_VERSION)/bin/fakecloud

# Where it is set, every worker and every program that a test starts compiles all sources anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test banks test-spark test-enforced bench histories simulate worlds mutations lint lint-templates check fix docs build release lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

# The lock is the whole closure; without --no-deps pip refuses the extras that a package asks of another.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "itemtrail needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(TEMPLATE_READY): $(READY) templates.lock
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(TEMPLATE_VENV)
	$(BIN)/uv pip install --quiet --python $(TEMPLATE_BIN)/python --require-hashes --requirement templates.lock
	touch $@

$(SPARK_READY): $(READY) spark.lock
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(SPARK_VENV)
	$(BIN)/uv pip install --quiet --python $(SPARK_BIN)/python --require-hashes --requirement spark.lock
	$(BIN)/uv pip install --quiet --python $(SPARK_BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

$(RELEASE_READY): $(READY) release.lock
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(RELEASE_VENV)
	$(BIN)/uv pip install --quiet --python $(RELEASE_BIN)/python --require-hashes --requirement release.lock
	touch $@

demo: $(READY) ## Deploy the whole system on this machine and walk through it
	$(BIN)/itemtrail demo

test: $(READY) ## Unit, property and functional tests
	$(BIN)/python -m pytest -m "not bank"

banks: $(READY) ## The longer tests: worlds, simulation, the Lambda runtime, several stacks, more of each property
	$(BIN)/python -m pytest -m bank
	HYPOTHESIS_PROFILE=hundred $(BIN)/python -m pytest tests/property

test-spark: $(SPARK_READY) ## The same answers by Spark, DuckDB and the live table (needs Java 17)
	$(SPARK_BIN)/python -m pytest -n0 tests/spark

$(FAKECLOUD):
	@command -v cargo >/dev/null || { echo "fakecloud is built by cargo: install Rust's toolchain"; exit 1; }
	CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0 cargo install fakecloud --version $(FAKECLOUD_VERSION) --locked --debug --root $(abspath .fakecloud/$(FAKECLOUD_VERSION))

test-enforced: $(READY) $(FAKECLOUD) ## The handlers and roles on an engine that enforces policies (needs cargo; builds for a quarter of an hour)
	$(BIN)/python -m pytest -n0 tests/enforced

histories: $(READY) ## Hold as-of and verify against 10,000 random histories each
	HYPOTHESIS_PROFILE=ten-thousand $(BIN)/python -m pytest tests/property/test_as_of.py tests/property/test_continuity.py

simulate: $(READY) ## Run the writers under faults: SEEDS=2000 of them, or one again by SEED=7
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) $(if $(SEED),--seed $(SEED))

worlds: $(READY) ## Hold every answer against an oracle in lossy and late worlds: SEEDS=2000, or SEED=7
	$(BIN)/python -m tests.worlds --seeds $(SEEDS) $(if $(SEED),--seed $(SEED))

mutations: $(READY) ## Break the code on purpose and see the tests notice: ONLY=ID, PACKAGE=reports, SAMPLE=15
	$(BIN)/python -m tests.mutations --seeds $(SEEDS) $(if $(ONLY),--only $(ONLY)) $(if $(PACKAGE),--package $(PACKAGE)) $(if $(SAMPLE),--sample $(SAMPLE))

lint: $(READY) lint-templates ## Format, lint, types and templates
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m tests.names

lint-templates: $(TEMPLATE_READY) ## The templates as written and as SAM transforms them
	$(TEMPLATE_BIN)/cfn-lint template.yaml replica.yaml --append-rules cfn_lint_serverless.rules
	$(BIN)/python -m tests.templates | $(TEMPLATE_BIN)/cfn-lint --append-rules cfn_lint_serverless.rules
	$(TEMPLATE_BIN)/checkov --framework cloudformation --file template.yaml replica.yaml --compact --quiet --skip-download
	SAM_CLI_TELEMETRY=0 $(BIN)/sam validate --lint --region us-east-1 --template template.yaml

check: test lint ## What CI runs

fix: $(READY) ## Format and repair what ruff can repair
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY) ## Make docs/cli.md, docs/deployer-policy.json and docs/licences.md anew
	$(BIN)/python -m itemtrail.reference > docs/cli.md
	$(BIN)/python -m tests.deployer_policy > docs/deployer-policy.json
	$(BIN)/python -m tests.licences > docs/licences.md

build: $(READY) ## Build the Lambda packages into .aws-sam/
	PATH="$(CURDIR)/$(BIN):$$PATH" SAM_CLI_TELEMETRY=0 sam build

EXTRAS := --extra parquet --extra warehouse
SBOM := $(RELEASE_BIN)/cyclonedx-py environment --output-reproducible
# What the package brings is installed by the lock, and the package itself from its file: no index is asked for its name.
release: $(RELEASE_READY) ## Wheel, source archive, SBOMs and checksums in dist/, to be published
	rm -rf dist build
	$(BIN)/uv build --quiet --no-build-isolation --out-dir dist
	$(RELEASE_BIN)/twine check --strict dist/*.whl dist/*.tar.gz
	$(BIN)/uv venv --quiet --python $(BIN)/python build/package
	$(BIN)/uv pip install --quiet --python build/package/bin/python --constraint requirements.lock --requirement pyproject.toml $(EXTRAS)
	$(BIN)/uv pip install --quiet --python build/package/bin/python --no-deps --no-index --find-links dist itemtrail
	$(BIN)/uv venv --quiet --python $(BIN)/python build/layer
	$(BIN)/uv pip install --quiet --python build/layer/bin/python --require-hashes --requirement stream_core/requirements.lock
	$(SBOM) --output-file dist/package.cdx.json build/package/bin/python
	$(SBOM) --output-file dist/layer.cdx.json build/layer/bin/python
	cd dist && sha256sum *.whl *.tar.gz *.json > SHA256SUMS
	RELEASED=$(CURDIR)/dist $(BIN)/python -m pytest -n0 tests/release

bench: $(SPARK_READY) ## Speed, cold start and memory, beside what a user would otherwise do
	ITEMTRAIL_SPARK_PYTHON=$(SPARK_BIN)/python $(BIN)/python -m benchmarks --json benchmarks.json

TESTED := --extra local --extra parquet --extra warehouse --group dev
COMPILE := $(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-header
LOCK := $(COMPILE) --universal --python-version 3.11
# As stream_core/Makefile builds it, with the versions that the tests use.
LAYER := $(COMPILE) --only-binary :all: --python-version 3.14 --python-platform aarch64-manylinux2014
lock: $(READY) ## Resolve the lock files anew from pyproject.toml; the layer's versions are in template.yaml too
	$(LOCK) $(TESTED) --output-file requirements.lock pyproject.toml
	$(LOCK) $(TESTED) --extra spark --output-file spark.lock pyproject.toml
	$(LOCK) --group pyproject.toml:templates --output-file templates.lock
	$(LOCK) --group pyproject.toml:release --output-file release.lock
	$(LAYER) --constraint requirements.lock --output-file stream_core/requirements.lock stream_core/requirements.txt

clean: ## Remove the environment and everything built
	rm -rf $(VENV) $(TEMPLATE_VENV) $(SPARK_VENV) $(RELEASE_VENV) .aws-sam build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
