# `make` prints this list. Everything is installed into .venv, and nothing outside this folder; only `make test`,
# run by root on Debian, also installs the packages of tests/packages.txt.
PYTHON ?= python3
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PY := .venv/bin/python

.PHONY: help
help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- environment: .venv holds the device extra; the first workstation target adds the rest.
.venv/device: requirements/device.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 10) <= v <= (3, 13) else \
	  "error: %s is Python %d.%d; expected 3.10 to 3.13: run make PYTHON=python3.11 ..." % (sys.executable, *v))'
	@$(PYTHON) -m venv .venv || { echo "error: cannot make .venv; on Debian: sudo apt install python3-venv" >&2; exit 1; }
	@echo "installing the device's packages into .venv ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/dev: requirements/dev.txt .venv/device
	@echo "installing the workstation's packages into .venv (TensorFlow is large) ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.PHONY: setup
setup: .venv/dev  ## install everything that a workstation needs

# ---- run
.PHONY: demo
demo: .venv/device  ## answer made-up camera frames with the shipped model; VIEW=1 shows it in a browser until Ctrl-C
	@$(PY) -m device run --source synthetic:// $(if $(VIEW),--view,--frames 600) --log logs --picture reports/demo.png

.PHONY: report
report: .venv/dev  ## report on latency logs: make report LOG=logs/... (a log or a folder; default: the newest)
	@$(PY) -m device report $(or $(LOG),$(shell ls -t logs/*.jsonl 2>/dev/null | head -1),logs/none-yet.jsonl)

.PHONY: bench
bench: .venv/dev  ## measure ours, floors and what people use instead: reports/bench.md (README=README.md: there, too)
	@$(PY) -m benchmarks $(addprefix --also ,$(ALSO)) $(if $(MEDIAPIPE),--mediapipe $(MEDIAPIPE)) $(if $(QUICK),--quick) \
	  $(if $(README),--readme $(README))

.PHONY: cameras
cameras: .venv/device  ## list the cameras that are there
	@$(PY) -m device cameras

.PHONY: check
check: .venv/device  ## test config.yaml, model and camera: make check SOURCE=/path/or/uri
	@$(PY) -m device check $(if $(SOURCE),--source $(SOURCE))

# ---- train
.PHONY: data
data: .venv/dev  ## find, install or download Fashion-MNIST; the targets that need it do so themselves
	@$(PY) -m training.data

.PHONY: photos
photos: .venv/dev  ## fetch the public photographs of clothing (CC0) into data/photos, which train then takes
	@$(PY) -m training.clothing_dataset

.PHONY: reproduce
reproduce: data  ## the article end to end: reports/reproduce.md
	@$(PY) -m training.reproduce

.PHONY: train
train: data  ## train the model that ships, for the camera: make train PHOTOS=folder (MODEL=tiny: the smallest)
	@$(PY) -m training.train $(if $(PHOTOS),--photos $(PHOTOS)) $(if $(MODEL),--model $(MODEL))

.PHONY: finetune
finetune: data  ## teach the trained model your own photographs: make finetune PHOTOS=folder
	@$(PY) -m training.finetune $(or $(PHOTOS),$(error name your photographs: make finetune PHOTOS=folder))

.PHONY: halves
halves: data  ## after make train: what learning from more people gains on others: make halves PHOTOS=folder
	@$(PY) -m training.halves $(if $(PHOTOS),--photos $(PHOTOS)) $(if $(MODEL),--model $(MODEL))

.PHONY: evaluate
evaluate: data  ## measure a model on unseen people and Fashion-MNIST's test set: make evaluate PHOTOS=folder MODEL=file
	@$(PY) -m training.evaluate $(if $(PHOTOS),--photos $(PHOTOS)) $(if $(MODEL),--model $(MODEL))

.PHONY: benchmark
benchmark: data  ## the Fashion-MNIST-only recipe: reports/benchmark.md
	@$(PY) -m training.benchmark

# ---- deploy: HOST=pi@raspberrypi.local, HOSTS="pi@a pi@b", or deploy.hosts in config.yaml; HOST=board is `make board`'s
ifeq ($(HOST),board)
SSH_CONFIG = $(shell $(PY) tests/board/qemu.py ssh-config)
CONFIG = tests/board/config.yaml
endif
DEPLOY = $(PY) -m deploy $@ $(foreach host,$(HOST) $(HOSTS),--host $(host)) $(if $(SSH_CONFIG),--ssh-config $(SSH_CONFIG)) \
  $(if $(CONFIG),--config $(CONFIG))

.PHONY: deploy
deploy: .venv/dev  ## bring a release to boards, and prove that it runs: make deploy HOST=pi@raspberrypi.local (DRY=1, MODEL=file)
	@$(DEPLOY) $(if $(MODEL),--model $(MODEL)) $(if $(DRY),--dry)

.PHONY: rollback
rollback: .venv/dev  ## back to the release that worked before: make rollback HOST=...
	@$(DEPLOY)

.PHONY: status
status: .venv/dev  ## what runs on the boards
	@$(DEPLOY)

.PHONY: releases
releases: .venv/dev  ## what the boards have
	@$(DEPLOY)

.PHONY: doctor
doctor: .venv/dev  ## what is wrong with a board, in words
	@$(DEPLOY)

.PHONY: logs
logs: .venv/dev  ## fetch new latency logs from the boards and print the report
	@$(DEPLOY)

.PHONY: view
view: .venv/dev  ## open a board's live view through ssh
	@$(DEPLOY)

.PHONY: uninstall
uninstall: .venv/dev  ## fetch the logs, then remove everything from the boards
	@$(DEPLOY)

# ---- a virtual board, for those without one: see tests/board/qemu.py
.PHONY: board
board: .venv/device  ## start a virtual board: a Debian for arm64 under qemu
	@bash tests/board/packages.sh
	@$(PY) tests/board/qemu.py boot

.PHONY: board-camera
board-camera: .venv/device  ## what the virtual board's camera sees: PICTURE=photo.jpg, else a test card
	@$(PY) tests/board/qemu.py camera $(if $(PICTURE),picture $(PICTURE),card)

.PHONY: board-ssh
board-ssh: .venv/device  ## log in on the virtual board
	@$(PY) tests/board/qemu.py ssh

.PHONY: board-off
board-off: .venv/device  ## shut the virtual board down
	@$(PY) tests/board/qemu.py off

# ---- check
.PHONY: lint
lint: .venv/dev  ## ruff and mypy
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

.venv/tests: requirements/fakepi.txt .venv/dev
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

.PHONY: test
test: .venv/tests  ## install what the tests need, and run them
	@bash tests/packages.sh
	@$(PY) -m training.data || echo "tests that need Fashion-MNIST will be skipped"
	@$(PY) -m pytest

.PHONY: test-board
test-board: .venv/tests  ## test deploys on virtual boards, as root: POWER_CUTS=, KILLS=, SEED=, ONLY="part of a name"
	@bash tests/board/packages.sh || echo "tests of boards that need them will be skipped"
	@BOARD_TESTS=$${BOARD_TESTS:-1} $(PY) -m pytest --durations=0 -s tests/board $(if $(ONLY),-k "$(ONLY)")

.PHONY: board-times
board-times: .venv/dev  ## how long a deploy to virtual boards takes, beside a bare login and rsync (README=README.md: there, too)
	@bash tests/board/packages.sh
	@$(PY) tests/board/times.py $(README)

.PHONY: view-picture
view-picture: .venv/dev  ## draw the live view's page for the README; needs Chromium
	@$(PY) tests/view_picture.py docs/view.png

.PHONY: soak
soak: .venv/tests  ## run for MINUTES (default 10) on a simulated Pi, or on SOURCE, and watch the memory
	@$(PY) tests/soak.py $(or $(MINUTES),10) $(SOURCE)

.PHONY: lock
lock: .venv/dev  ## pin the packages of pyproject.toml, with hashes, into requirements/
	@UV_CUSTOM_COMPILE_COMMAND="make lock" bash requirements/lock.sh .venv/bin/uv

.PHONY: clean
clean:  ## remove what was made: .venv, reports, runs, logs
	@rm -rf .venv reports runs logs
