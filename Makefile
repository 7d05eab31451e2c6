# `make demo` shows Atoll on this machine; it needs Python 3.11, Java 17 and a package index.

VENV := .venv
PYTHON := $(VENV)/bin/python
UV := $(VENV)/bin/uv
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements-dev.txt)
JAVA_VERSION := 17
# Addresses of indexes and folders of wheels belong to a machine, not into a lock.
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links

RUNTIME := $(VENV)/.installed-runtime
DEV := $(VENV)/.installed-dev
PEERS := .venv-peers
PEERS_LABELLING := .venv-peers-labelling

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
WORKERS ?= 2
FAULTS ?= all
NIGHTS ?= 50
.PHONY: help demo up down status backup restore cluster-up cluster-demo cluster-down cluster-backup cluster-restore test chaos soak lint audit lock \
	bench-tuning bench-labelling clean java browser

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(RUNTIME) java ## tune a model and label images with it, in Airflow, then stop everything
	@exec $(PYTHON) -m local demo

up: $(RUNTIME) java ## start PostgreSQL, Airflow and MLflow, and print their addresses
	@exec $(PYTHON) -m local up

down: ## stop everything, whatever state it is in
	@test -x $(PYTHON) || { echo "Atoll was never started here."; exit 0; }; exec $(PYTHON) -m local down

status: ## say what runs; exit status 3 (make says 2) when the stack is down
	@test -x $(PYTHON) || { echo "Atoll is down."; exit 3; }; exec $(PYTHON) -m local status

backup: $(RUNTIME) ## write databases, workspace and keys into a new folder (TO=FOLDER)
	@test -n "$(TO)" || { echo "say where to: make backup TO=FOLDER" >&2; exit 2; }; exec $(PYTHON) -m local backup "$(TO)"

restore: $(RUNTIME) ## make an empty stack what it was when a back-up was made (FROM=FOLDER)
	@test -n "$(FROM)" || { echo "say where from: make restore FROM=FOLDER" >&2; exit 2; }; exec $(PYTHON) -m local restore "$(FROM)"

cluster-up: ## build the image and start everything in containers (WORKERS=2)
	@exec python3 docker/cluster.py up --workers $(WORKERS)

cluster-demo: ## the demonstration on it, which is started if it is not up
	@exec python3 docker/cluster.py demo

cluster-down: ## stop the containers; what they wrote stays (python3 docker/cluster.py down --volumes deletes it)
	@exec python3 docker/cluster.py down

cluster-backup: ## write databases, workspace and keys of the containers into a new folder (TO=FOLDER)
	@test -n "$(TO)" || { echo "say where to: make cluster-backup TO=FOLDER" >&2; exit 2; }; exec python3 docker/cluster.py backup "$(TO)"

cluster-restore: ## fill a cluster that has nothing yet from a back-up (FROM=FOLDER); then make cluster-up
	@test -n "$(FROM)" || { echo "say where from: make cluster-restore FROM=FOLDER" >&2; exit 2; }; exec python3 docker/cluster.py restore "$(FROM)"

test: $(DEV) java browser ## run the tests
	@exec $(PYTHON) -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

chaos: $(DEV) ## break everything that can break in a cluster in containers, for an hour and more (FAULTS=some|all)
	@ATOLL_TEST_CHAOS=$(FAULTS) exec $(PYTHON) -m pytest --log-cli-level=INFO tests/docker/test_chaos.py tests/docker/test_clocks.py

soak: $(DEV) ## many nights in a row on a cluster in containers, a random fault in each (NIGHTS=50)
	@ATOLL_TEST_SOAK=$(NIGHTS) exec $(PYTHON) -m pytest --log-cli-level=INFO tests/docker/test_soak.py

lint: $(DEV) ## check style and types
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

audit: $(DEV) ## ask for known vulnerabilities of every locked package; needs the internet
	$(VENV)/bin/pip-audit --disable-pip --require-hashes --vulnerability-service osv --progress-spinner off \
		-r requirements.txt -r requirements-dev.txt $(AUDIT)

lock: $(UV) ## resolve requirements.in and requirements-dev.in anew
	$(COMPILE) --override requirements-overrides.txt requirements.in -o requirements.txt
	$(COMPILE) requirements-dev.in -o requirements-dev.txt
	$(COMPILE) -c requirements.txt benchmarks/peers/requirements.in -o benchmarks/peers/requirements.txt
	$(COMPILE) -c requirements.txt benchmarks/labelling/requirements.in -o benchmarks/labelling/requirements.txt

bench-tuning: $(DEV) $(PEERS)/.installed java ## measure dispatch, early stopping, other tools (MNIST=folder of its IDX files)
	@test -n "$(MNIST)" || { echo "say where MNIST's four IDX files lie: make bench-tuning MNIST=FOLDER" >&2; exit 2; }
	$(PYTHON) -m benchmarks.overhead
	$(PYTHON) -m benchmarks.scaling
	$(PYTHON) -m benchmarks.simulation
	$(PYTHON) -m benchmarks.real_scaling --mnist $(MNIST)
	$(PYTHON) -m benchmarks.early_stopping --mnist $(MNIST)
	$(PYTHON) -m benchmarks.peers --mnist $(MNIST) --python $(PEERS)/bin/python

bench-labelling: $(DEV) $(PEERS_LABELLING)/.installed java ## measure labelling and other tools (DATA=folder with stock/ and photos/)
	@test -n "$(DATA)" || { echo "say where stock/ and photos/ lie: make bench-labelling DATA=FOLDER" >&2; exit 2; }
	$(PYTHON) -m benchmarks.labelling --data $(DATA) --python $(PEERS_LABELLING)/bin/python
	$(PYTHON) -m benchmarks.labelling.growth --data $(DATA)

clean: down ## remove the virtual environment and every cache; the workspace stays
	rm -rf $(VENV) $(PEERS) $(PEERS_LABELLING) .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The development environment holds everything that runs, so it also counts as the runtime one.
$(RUNTIME): requirements.txt requirements-dev.txt | $(UV)
	@if test -e $(DEV); then $(UV) pip sync --quiet --python $(PYTHON) requirements.txt requirements-dev.txt && touch $(DEV); \
	else echo "installing requirements.txt into $(VENV)"; $(UV) pip sync --quiet --python $(PYTHON) requirements.txt; fi
	@touch $@

$(DEV): requirements.txt requirements-dev.txt | $(UV)
	@echo "installing requirements.txt and requirements-dev.txt into $(VENV)"
	@$(UV) pip sync --quiet --python $(PYTHON) requirements.txt requirements-dev.txt
	@touch $(RUNTIME) $@

# The tools that Atoll is measured against have an environment of their own, since what they ask for is not Atoll's concern.
$(PEERS)/.installed: benchmarks/peers/requirements.txt | $(UV)
	@echo "installing benchmarks/peers/requirements.txt into $(PEERS)"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $(PEERS)
	@$(UV) pip sync --quiet --python $(PEERS)/bin/python benchmarks/peers/requirements.txt
	@touch $@

# So have those that labelling is measured against: the two sets would not agree on versions.
$(PEERS_LABELLING)/.installed: benchmarks/labelling/requirements.txt | $(UV)
	@echo "installing benchmarks/labelling/requirements.txt into $(PEERS_LABELLING)"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $(PEERS_LABELLING)
	@$(UV) pip sync --quiet --python $(PEERS_LABELLING)/bin/python benchmarks/labelling/requirements.txt
	@touch $@

$(UV):
	@for python in python3.11 python3; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then \
	    $$python -m venv $(VENV) && exec $(PYTHON) -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); \
	  fi; \
	done; echo "Atoll needs Python 3.11 with its venv module (Debian, Ubuntu: apt-get install python3.11-venv)" >&2; exit 1

# Without one the tests of the pages in a browser are skipped, and say so.
browser:
	@if ! command -v chromium >/dev/null 2>&1 && test "$$(id -u)" = 0 && command -v apt-get >/dev/null 2>&1; then \
	  echo "installing Chromium"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null || true; \
	fi

java:
	@if test -z "$$JAVA_HOME" && ! command -v java >/dev/null 2>&1; then \
	  if test "$$(id -u)" = 0 && command -v apt-get >/dev/null 2>&1; then \
	    echo "installing Java $(JAVA_VERSION)"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq openjdk-$(JAVA_VERSION)-jre-headless >/dev/null; \
	  else \
	    echo "Spark needs Java $(JAVA_VERSION) or later (Debian, Ubuntu: apt-get install openjdk-$(JAVA_VERSION)-jre-headless)" >&2; exit 1; \
	  fi; \
	fi
	@java=$${JAVA_HOME:+$$JAVA_HOME/bin/}java; \
	version=$$($$java -version 2>&1 | sed -n 's/.*version "\(1\.\)\{0,1\}\([0-9]*\).*/\2/p' | head -n 1); \
	if test "$${version:-0}" -lt $(JAVA_VERSION); then \
	  echo "$$java is Java $${version:-unknown}; Spark needs $(JAVA_VERSION) or later" >&2; exit 1; \
	fi
