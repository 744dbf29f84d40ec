# Everything runs from .venv, which `make setup` fills from requirements/lock.txt; each target sees to that itself.
SHELL := /bin/bash
BIN := .venv/bin
NAME ?= demo
DATA ?= runs/$(NAME)/xrays
XRAYS ?= ../shared/xrays
FREE_PORTS := python3 -c 'import socket; a, b = (socket.create_server(("127.0.0.1", 0)) for _ in "ab"); print(a.getsockname()[1], b.getsockname()[1])'
CHROMIUM := $(shell command -v chromium)
export PNEUMONIA_XRAYS ?= $(XRAYS)
export TF_CPP_MIN_LOG_LEVEL ?= 2
PYTEST := $(BIN)/python -m pytest -n logical --maxprocesses 4 --no-loadscope-reorder
ORTHANC := $(wildcard /usr/sbin/Orthanc)
LEFT_OUT := $(if $(CHROMIUM),, and not browser)$(if $(ORTHANC),, and not pacs)

.PHONY: help setup demo test test-all fuzz lint format lock web pretrained bench clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.complete  ## install the locked packages into .venv

.venv/.complete: requirements/lock.txt requirements/uv.txt setup.py
	@requirements/install.sh

demo: setup  ## synthetic X-rays (or DATA=dir) to a pushed model, then three X-rays asked of it
	@$(if $(filter-out runs/$(NAME)/xrays,$(DATA)),true,$(BIN)/pneumonia data synthesize $(DATA))
	@$(BIN)/pneumonia run --data "$(DATA)" --config configs/demo.yaml --run "$(NAME)"
	@set -- $$($(FREE_PORTS)); \
	 $(BIN)/pneumonia serve --run "$(NAME)" --port $$1 --rest_api_port $$2 2>runs/$(NAME)/server.log & \
	 server=$$!; trap "kill $$server" EXIT; \
	 find -H "$(DATA)" -type f \( -iname '*.jp*g' -o -iname '*.png' -o -iname '*.dcm' \) | sort | sed -n '1p;40p;80p' | tr '\n' '\0' | \
	 xargs -0 -r $(BIN)/pneumonia predict --server localhost:$$1 --wait 60 --heatmaps runs/$(NAME)/heatmaps && \
	 echo "heat maps: runs/$(NAME)/heatmaps"

test: setup  ## lint, types and tests
	@$(MAKE) --no-print-directory lint
	@$(if $(CHROMIUM),,echo "no chromium: browser tests left out (Debian: apt-get install chromium)";) \
	 $(if $(ORTHANC),,echo "no Orthanc: PACS tests left out (Debian: see .ci/run for its packages)";) \
	 $(PYTEST) -m "not slow and not distributed$(LEFT_OUT)"

test-all: setup  ## the slow and the distributed tests; `make test` has the rest
	@$(PYTEST) -m "(slow or distributed)$(LEFT_OUT)"

fuzz: setup  ## hostile films, messages, kills, each for a third of an hour (MINUTES=60)
	@seconds=$$((20 * $(or $(MINUTES),60))); \
	 for module in fuzz.films serving.fuzz components.pusher.kills; do \
	   end=$$((SECONDS + seconds)); \
	   until [ $$SECONDS -ge $$end ]; do $(BIN)/python -m tests.$$module 2000 $$(($$RANDOM * 2000)) || exit 1; done; \
	 done

lint: setup  ## ruff and mypy
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: setup  ## let ruff put the sources in order
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

lock: setup  ## resolve requirements/lock.txt again
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --override requirements/overrides.txt --extra pipeline --extra web --extra pacs --extra fast \
	  --extra kubeflow --extra test setup.py -o requirements/lock.txt

web: setup  ## the web page on the served model
	@$(BIN)/pneumonia web

pretrained: setup  ## train on the public set, write the model that comes with the project
	@$(BIN)/pneumonia run --data "$(XRAYS)/kermany224" --config configs/kermany.yaml --run kermany
	@$(BIN)/pneumonia pack --run kermany --made-by "make pretrained XRAYS=folder"

bench: setup  ## the side-by-side measurements, into benchmarks/RESULTS.md (QUICK=1: a rehearsal)
	@$(BIN)/python -m benchmarks $(if $(QUICK),--quick)

bench-%: setup
	@$(BIN)/python -m benchmarks $* $(if $(QUICK),--quick)

clean:  ## remove the runs and the tools' caches, not .venv
	@rm -rf runs .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
