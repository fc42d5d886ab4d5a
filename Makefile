# Every target makes the environment it needs, from the hashed locks in requirements/; a second run is quick.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
IMAGE ?= lossd
ENGINE ?= docker
WORKERS ?= 2
ARGS ?=
SECONDS ?= 1800
REQUESTS ?= 100000
NAME =

VENV := .venv
PROJECT := pyproject.toml service/lossd/__init__.py requirements/build.txt
VERSIONS := 3.11 3.12 3.13
FAST := not slow and not torch

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help serve test loss soak test-all lint check format bench generate openapi readme client reference formulas docs lock image torch languages clean

help:  ## List the targets.
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

serve: $(VENV)/.runtime  ## Serve on 127.0.0.1:8000, or as HOST=, PORT= or the settings say.
	$(VENV)/bin/lossd serve $(if $(HOST),--host $(HOST)) $(if $(PORT),--port $(PORT)) $(ARGS)

# PyTorch's threads would wait for each other: the workers have the cores already.
test: $(VENV)/.test  ## Run every test; ARGS= goes to pytest.
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

loss: $(VENV)/.test  ## Run the tests of one loss, NAME=huber, and of all declarations.
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n $(WORKERS) --dist worksteal --loss "$(NAME)" $(ARGS)

soak: $(VENV)/.test  ## Run REQUESTS=100000 malformed requests, then mixed calls for SECONDS=1800; fail if memory grows or an answer is wrong.
	PYTHONPATH=service:. $(VENV)/bin/python -m tests.attack --requests $(REQUESTS)
	PYTHONPATH=service:. $(VENV)/bin/python -m tests.soak $(SECONDS)

test-all: $(VERSIONS:%=test-%)  ## Run the fast tests on CPython 3.11, 3.12 and 3.13.

lint: $(VENV)/.dev  ## Check format, lint and types.
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/hadolint Dockerfile

check: lint  ## Check format, lint, types and the fast tests.
	$(VENV)/bin/python -m pytest -q -n $(WORKERS) -m '$(FAST)' $(ARGS)

format: $(VENV)/.dev  ## Format the code, and mend what the linter can.
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bench: $(VENV)/.dev $(VENV)/.torch  ## Measure against PyTorch; takes minutes, leave the machine alone.
	$(VENV)/bin/python -m benchmarks $(ARGS)

generate: openapi readme client reference  ## Write all files below that follow from the declarations.

openapi: $(VENV)/.runtime  ## Write openapi/openapi.json from the declarations.
	$(VENV)/bin/lossd openapi > $(VENV)/openapi.json
	mkdir -p openapi && mv $(VENV)/openapi.json openapi/openapi.json

readme: $(VENV)/.test  ## Write the README's tables from the declarations.
	$(VENV)/bin/python -m tests.tables

client: $(VENV)/.test  ## Write the client's methods from the declarations.
	$(VENV)/bin/python -m tests.client_methods

reference: $(VENV)/.test  ## Write the reference in docs/ from the declarations.
	$(VENV)/bin/python -m tests.page.reference

formulas: $(VENV)/.test  ## Write the formulas of the declarations as MathML; needs Node.
	npm ci --prefix tests/page --no-audit --no-fund --ignore-scripts --loglevel=error
	$(VENV)/bin/python -m tests.page.formulas

# MkDocs counts no warnings under --quiet, so that --strict would pass every broken link.
docs: $(VENV)/.dev  ## Build the documentation as a site, in site/.
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

lock: $(VENV)/.dev  ## Resolve pyproject.toml into requirements/; ARGS=--upgrade takes the newest.
	$(call compile,dev,--extra client --extra test --extra examples --extra bench --extra docs --extra dev pyproject.toml)
	$(call compile,test,--extra client --extra test --extra examples -c requirements/dev.txt pyproject.toml)
	$(call compile,runtime,-c requirements/dev.txt pyproject.toml)
	echo hatchling | $(call compile,build,-c requirements/dev.txt -)
	echo cyclonedx-bom | $(call compile,sbom,-c requirements/dev.txt -)

image:  ## Build the container image IMAGE=lossd with ENGINE=docker or podman.
	$(ENGINE) build -t $(IMAGE) .

torch: $(VENV)/.torch  ## Add PyTorch, for the tests and benchmarks that compare with it.

languages:  ## Install the languages and npm tools that the tests of other clients need; as root.
	sh tests/languages/install.sh

clean:  ## Remove the environments, caches and whatever was built.
	rm -rf $(VENV) .venvs openapi/node_modules tests/page/node_modules site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find service tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call compile,NAME,ARGUMENTS): one lock for every platform and CPython from 3.11 on.
compile = $(VENV)/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-annotate --no-header --no-emit-index-url $(ARGS) -o requirements/$(1).txt $(2)

# $(call install,ENVIRONMENT,PYTHON,LOCK): the locked packages, and lossd itself from the working tree. A lock is
# complete, and modules are compiled when first imported: to resolve and compile here takes twice as long.
define install
	@$(2) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"expected CPython 3.11 or later, got {sys.version}")'
	test -x $(1)/bin/python || $(2) -m venv $(1)
	$(1)/bin/python -m pip install --quiet --no-deps --no-compile --require-hashes -r requirements/build.txt -r requirements/$(3).txt
	$(1)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(1)/.$(3)
endef

$(VENV)/.runtime $(VENV)/.test $(VENV)/.dev: $(VENV)/.%: requirements/%.txt $(PROJECT)
	$(call install,$(VENV),$(PYTHON),$*)

$(VENV)/.torch: | $(VENV)/.test
	$(VENV)/bin/python -m pip install --quiet torch==2.13.0
	touch $@

# pyenv's interpreters come first: a shim on the PATH may name one that is not active here.
find = $(firstword $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/$(1).*/bin/python$(1)) \
	$(shell command -v python$(1) >/dev/null && python$(1) -c 'import sys; print(sys.executable)' 2>/dev/null))

.PHONY: $(VERSIONS:%=test-%)
$(VERSIONS:%=test-%): test-%:
	$(if $(call find,$*),$(MAKE) --no-print-directory .venvs/$*/.test,@echo "test-all: skipped CPython $*, which was found neither by pyenv nor on the PATH")
	$(if $(call find,$*),.venvs/$*/bin/python -m pytest -q -n $(WORKERS) -m '$(FAST)' $(ARGS))

$(VERSIONS:%=.venvs/%/.test): .venvs/%/.test: requirements/test.txt $(PROJECT)
	$(call install,.venvs/$*,$(call find,$*),test)
