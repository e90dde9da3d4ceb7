# Everything that can be done here. `make` alone lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# What outlives a clone: built Kubernetes binaries, keyed by their version.
export POINTSMAN_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pointsman

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Try it

.PHONY: demo
demo: $(VENV)/.installed ## Route 60 real prompts on this machine: provider, control plane and sidecar, no key, no cluster.
	@$(BIN)/python examples/demo/demo.py

.PHONY: kind
kind: $(VENV)/.installed ## The same on Kubernetes: make a cluster with kind, install the charts, and have an app answered.
	@PYTHONPATH=tests $(BIN)/python -m cluster.harness.node.first_answer

.PHONY: kind-delete
kind-delete: ## Delete the cluster that `make kind` made.
	kind delete cluster --name pointsman --kubeconfig dist/kind/kubeconfig

##@ Change it

.PHONY: setup
setup: $(VENV)/.installed ## Make the virtual environment, from the locked requirements.

# OpenAI's client for Node is tried where there is Node.
NODE_MODULES := $(if $(shell command -v npm),node_modules/.installed)

.PHONY: test
test: $(VENV)/.installed $(NODE_MODULES) ## Run the tests that need nothing but Python (pure, and processes on localhost).
	@$(BIN)/python -m pytest

.PHONY: test-pure
test-pure: $(VENV)/.installed ## Run the pure tests only.
	@$(BIN)/python -m pytest tests/pure

.PHONY: simulate-quota
simulate-quota: $(VENV)/.installed ## Run the quota protocol's model for 10 million events and more (ARGS="--events 100000000 --seed 1").
	@PYTHONPATH=tests $(BIN)/python -m support.quota.simulate $(ARGS)

.PHONY: test-cluster
test-cluster: $(VENV)/.installed ## Run the tests on a real Kubernetes API server: POINTSMAN_TEST_KUBECONFIG's, else one built with Go.
	@$(BIN)/python -m pytest tests/cluster

.PHONY: cluster-binaries
cluster-binaries: $(VENV)/.installed ## Build etcd, kube-apiserver and kubectl into the cache (5 minutes, once).
	@PYTHONPATH=tests $(BIN)/python -m cluster.harness.binaries

.PHONY: test-node
test-node: $(VENV)/.installed ## Run the tests on a Kubernetes whose pods run: yours, kind's, else one of its own (needs root).
	@$(BIN)/python -m pytest tests/node

.PHONY: node-binaries
node-binaries: $(VENV)/.installed ## Build the rest of Kubernetes, CoreDNS and Helm into the cache (4 minutes more, once).
	@PYTHONPATH=tests $(BIN)/python -m cluster.harness.binaries node

.PHONY: bench-operator
bench-operator: $(VENV)/.installed ## Measure the operator's scale on an API server of its own (10 minutes; ARGS=--quick: half a one).
	@PYTHONPATH=tests:bench/shared:bench/operator $(BIN)/python -m scale $(ARGS)

.PHONY: bench
bench: $(VENV)/.installed ## Measure what a request costs, through both doors (2 minutes; ARGS=--quick: a quarter of one).
	@PYTHONPATH=tests:bench/shared:bench/requests $(BIN)/python -m speed $(ARGS)

.PHONY: bench-ledger
bench-ledger: $(VENV)/.installed ## Measure what budgets cost a request, how fast each store grants, and what many quotas write (12 minutes; ARGS=--quick: one).
	@PYTHONPATH=tests:bench/shared:bench/ledger $(BIN)/python -m granting $(ARGS)

.PHONY: drill-ledger
drill-ledger: $(VENV)/.installed ## 50 sidecars, each a whole process, spend one budget from each store, and processes are killed meanwhile (5 minutes).
	@POINTSMAN_DRILL_SIDECARS=$(or $(SIDECARS),50) $(BIN)/python -m pytest -s tests/process/drills tests/cluster/test_ledger_drill.py

.PHONY: bench-peers
bench-peers: $(VENV)/.installed ## The same beside LiteLLM, Portkey and TensorZero, installed into the cache (6 minutes; needs Node).
	@PYTHONPATH=tests:bench/shared:bench/requests $(BIN)/python -m speed --peers $(ARGS)

# The folder with the recorded results to learn from and to measure on. They are no part of the project.
DATA ?=
NEEDS_DATA = $(if $(DATA),,$(error name the folder with the recorded results: make $@ DATA=folder))

MODELS := OMP_NUM_THREADS=1 PYTHONPATH=training:bench/eval $(BIN)/python

.PHONY: eval
eval: $(VENV)/.installed ## Measure the complexity score and the judge on recorded results of two models (3 minutes; DATA=folder).
	$(NEEDS_DATA)
	@$(MODELS) -m evaluating.complexity $(DATA) $(ARGS)
	@$(MODELS) -m evaluating.confidence $(DATA)
	@$(MODELS) -m evaluating.savings $(DATA)

.PHONY: eval-judge
eval-judge: $(VENV)/.installed ## The same of the judge alone (DATA=folder).
	$(NEEDS_DATA)
	@$(MODELS) -m evaluating.confidence $(DATA)

.PHONY: eval-savings
eval-savings: $(VENV)/.installed ## What both would save: replay recorded questions by each way to choose (1 minute; DATA=folder).
	$(NEEDS_DATA)
	@$(MODELS) -m evaluating.savings $(DATA)

.PHONY: eval-share
eval-share: $(VENV)/.installed ## Measure whether a share of complex requests is kept on other kinds of questions (3 minutes; DATA=folder).
	$(NEEDS_DATA)
	@$(MODELS) -m evaluating.shares $(DATA)

.PHONY: eval-speed
eval-speed: $(VENV)/.installed ## Measure what the complexity score costs in time and memory, hostile texts included.
	@$(MODELS) -m evaluating.speed

.PHONY: train
train: $(VENV)/.installed ## Train the complexity model anew (half a minute; DATA=folder): the same data, the same bytes.
	$(NEEDS_DATA)
	@$(MODELS) -m complexity $(DATA) $(ARGS)

.PHONY: train-judge
train-judge: $(VENV)/.installed ## Train the judge of answers anew (DATA=folder).
	$(NEEDS_DATA)
	@$(MODELS) -m confidence $(DATA)

.PHONY: fuzz
fuzz: $(VENV)/.installed ## Send 100,000 hostile requests through both doors of a sidecar (10 minutes; ARGS='--cases 2000 --seed 1').
	@PYTHONPATH=tests:bench/hardening $(BIN)/python -m hostile $(ARGS)

.PHONY: soak
soak: $(VENV)/.installed ## Hold a sidecar at half of what it can do while its providers fail (10 minutes; ARGS='--minutes 1').
	@PYTHONPATH=tests:bench/hardening $(BIN)/python -m soak $(ARGS)

.PHONY: images
images: $(VENV)/.installed ## Build the images of both planes and of the examples, with docker, podman or buildah.
	@$(BIN)/python images/build.py

.PHONY: image-inputs
image-inputs: $(VENV)/.installed ## Fetch what the Dockerfile copies, for a build by hand.
	@$(BIN)/python images/build.py --inputs-only

.PHONY: lint
lint: $(VENV)/.installed node_modules/.installed ## Check style, types, import contracts, protos and generated docs.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --config pyproject.toml
	@$(BIN)/python tools/api_reference.py --check
	@$(BIN)/python tools/chart_reference.py --check
	@$(BIN)/python tools/first_answer.py --check
	@$(BIN)/python tools/fault_reference.py --check
	@cd protos && ../node_modules/.bin/buf lint && ../node_modules/.bin/buf format --exit-code -d
	@for recorded in tests/skew/contracts/*/contract.binpb; do \
	  (cd protos && ../node_modules/.bin/buf breaking --against ../$$recorded) || exit 1; done

.PHONY: format
format: $(VENV)/.installed node_modules/.installed ## Format Python and protos.
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@cd protos && ../node_modules/.bin/buf format -w

.PHONY: generate
generate: $(VENV)/.installed ## Generate code from protos/ and crds/ anew.
	@$(BIN)/python build_hooks/generate.py

.PHONY: docs
docs: $(VENV)/.installed ## Write anew what is said twice: docs/api.md, docs/faults.md, the charts' tables and CRDs, the commands in the docs.
	@$(BIN)/python tools/api_reference.py
	@$(BIN)/python tools/chart_reference.py
	@$(BIN)/python tools/first_answer.py
	@$(BIN)/python tools/fault_reference.py

.PHONY: golden
golden: $(VENV)/.installed ## Write the golden files of the charts (needs Helm: make node-binaries) and of injection anew.
	@PYTHONPATH=tests $(BIN)/python -m cluster.charts.rendering
	@PYTHONPATH=tests $(BIN)/python -m pure.operator.golden_pods

.PHONY: lock
lock: ## Lock the requirements anew (needs uv).
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --custom-compile-command "make lock" --all-extras --group dev pyproject.toml -o requirements/dev.txt
	@# What the images carry: the same versions, for the Python that they have.
	for plane in operator sidecar examples; do \
	  uv pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-emit-index-url --no-annotate \
	    --custom-compile-command "make lock" --constraint requirements/dev.txt --extra $$plane pyproject.toml \
	    -o requirements/$$plane.txt || exit 1; done

.PHONY: clean
clean: ## Remove what was built in the tree.
	rm -rf $(VENV) gen dist node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# The environment is made anew when the lock, the project's metadata or what code is generated from changes.
$(VENV)/.installed: requirements/dev.txt pyproject.toml build_hooks/generate.py $(wildcard protos/*/*/*.proto) $(wildcard crds/*.yaml)
	@echo "Setting up $(VENV) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

node_modules/.installed: package.json package-lock.json
	@npm install --no-save --silent --no-audit --no-fund
	@touch $@
