# One command a chore. `make run` and `make test` set up what they need on a fresh machine.

SOURCE ?= demo
ARGS ?=
CLIPS ?= demo
SECONDS ?= 600
PYTHON ?= python3
PIP := .venv/bin/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint constraints.txt
VIRTUAL := xvfb-run -a -s "-screen 0 1920x1200x24"
MODELS := .venv/bin/realtime-affect models verify >/dev/null 2>&1 || .venv/bin/realtime-affect models fetch

# What PyQt6 loads beside its own wheel, under X11 and Wayland; affect_gui/app.py names the same.
QT_PACKAGES := libgl1 libegl1 libglib2.0-0 libdbus-1-3 libfontconfig1 libxkbcommon0 \
	libxkbcommon-x11-0 libx11-xcb1 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 \
	libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-sync1 libxcb-xfixes0 libxcb-xkb1 \
	libwayland-client0 libwayland-cursor0 libwayland-egl1

# $(call qt,PLATFORMS): whether Qt's widgets and these platform plugins find all that they load.
qt = .venv/bin/python -c 'import ctypes, pathlib, sys; from PyQt6 import QtWidgets as qt; \
	folder = pathlib.Path(qt.__file__).parent / "Qt6/plugins/platforms"; \
	[ctypes.CDLL(str(file)) for name in sys.argv[1:] for file in folder.glob(f"libq{name}*.so")]' \
	$(1) 2>/dev/null

# $(call apt,PACKAGES): install where this user may, say the exact line where not.
define apt
	if [ "$$(id -u)" = 0 ]; then as=; elif sudo -n true 2>/dev/null; then as=sudo; else \
		echo "This needs system packages. Please run, then try again:"; \
		echo "  sudo apt-get install -y $(1)"; exit 1; fi; \
	echo "installing system packages: $(1)"; \
	$$as apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$as apt-get install -y -qq $(1) >/dev/null
endef

.PHONY: help run test test-gpu test-aarch64 check training train-action-units train-expression train-micro train-gaze setup peers bench soak soak-service soak-window kill corpora fuzz tables golden sbom clean
help:  ## list the chores
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "make %-18s %s\n", $$1, $$2}' Makefile

run: .venv/.run  ## run on the demo, or on SOURCE=file|camera number|URL (ARGS= for options)
	@$(MODELS)
	@[ -z "$$DISPLAY$$WAYLAND_DISPLAY" ] || $(call qt,xcb wayland) || ( $(call apt,$(QT_PACKAGES)) ) || \
		echo "Until then there is no window; results go to files."
	@.venv/bin/realtime-affect run '$(SOURCE)' $(ARGS)

test: .venv/.test check  ## set up, check and test everything this machine can test
	@$(MODELS)
	@.venv/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(ARGS)

# Where compute-sanitizer is (a CUDA toolkit has it), it watches the same tests without the huge arrays.
test-gpu: .venv/.test  ## run the kernels' tests on an NVIDIA GPU; elsewhere say why not
	@! command -v nvidia-smi >/dev/null || .venv/bin/python -c 'import pycuda' 2>/dev/null || \
		$(INSTALL) --editable '.[cuda]'
	@.venv/bin/python -m pytest -m gpu $(ARGS)
	@command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is not on this machine"; exit 0; }; \
	command -v nvidia-smi >/dev/null || exit 0; \
	for tool in memcheck racecheck; do \
		compute-sanitizer --tool $$tool --error-exitcode 1 \
			.venv/bin/python -m pytest -q -m gpu -k 'not huge' --timeout 0 tests/affect_kernels || exit 1; done

check: .venv/.test  ## lint, format, types, import rules
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --quiet --check .
	@.venv/bin/mypy
	@PYTHONPATH=.:engines:kernels:gui .venv/bin/lint-imports

training: .venv/.torch  ## set up what training networks needs on top: torch
train-action-units: .venv/.torch  ## render, train, evaluate and ship the action unit network
	@PYTHONPATH=.:engines:kernels:gui .venv/bin/python -m training.action_units $(ARGS)

train-expression: .venv/.torch  ## film, train, evaluate and ship the expression network
	@PYTHONPATH=.:engines:kernels:gui .venv/bin/python -m training.ifdd_stream $(ARGS)

train-micro: .venv/.torch  ## the same for the classifier of micro-expressions
	@PYTHONPATH=.:engines:kernels:gui .venv/bin/python -m training.htnet $(ARGS)

train-gaze: .venv/.torch  ## the same for the eye network
	@PYTHONPATH=.:engines:kernels:gui .venv/bin/python -m training.gaze $(ARGS)

setup: .venv/.test  ## prepare .venv for work on the project
	@.venv/bin/pre-commit install

peers: .venv-peers/.ready  ## the peers to measure against, in an environment of their own
bench: .venv/.test peers  ## record all speeds, on the demo or on CLIPS="demo a.mp4"; needs a quiet machine
	@$(MODELS)
	@.venv/bin/python benchmarks/peer_mediapipe.py $(CLIPS) --record
	@.venv/bin/python benchmarks/latency.py --record
	@.venv/bin/python benchmarks/expression.py --record
	@.venv/bin/python benchmarks/interpretation.py --record
	@.venv/bin/python benchmarks/engines.py --record
	@.venv/bin/python benchmarks/jetson_budget.py --record
	@.venv/bin/python benchmarks/streams.py --record
	@.venv/bin/python benchmarks/hostile_peers.py --record
	@.venv/bin/python benchmarks/again.py --record
	@! command -v xvfb-run >/dev/null || $(VIRTUAL) .venv/bin/python benchmarks/window.py --record
	@.venv/bin/python benchmarks/plots.py
	@.venv/bin/python benchmarks/tables.py --write

tables: .venv/.test  ## write the tables of README and docs/ anew, from records and code
	@.venv/bin/python benchmarks/tables.py --write

soak: .venv/.test  ## ten minutes of live work: does memory or time creep up?
	@$(MODELS)
	@.venv/bin/python benchmarks/soak.py --record
	@.venv/bin/python benchmarks/tables.py --write

soak-service: .venv/.test  ## half an hour of serve: a stream that breaks, files, a churn of clients
	@$(MODELS)
	@.venv/bin/python benchmarks/soak_service.py --record $(ARGS)
	@.venv/bin/python benchmarks/tables.py --write

soak-window: .venv/.test  ## half an hour of the window, recording, on a virtual screen
	@$(MODELS)
	@$(VIRTUAL) .venv/bin/python benchmarks/window.py --minutes 30 --record $(ARGS)
	@.venv/bin/python benchmarks/tables.py --write

kill: .venv/.test  ## kill -9 run, serve, analyze and the window's sessions twenty times each: what is left?
	@$(MODELS)
	@.venv/bin/python benchmarks/kill.py --record $(ARGS)
	@.venv/bin/python benchmarks/kill_sessions.py --record
	@.venv/bin/python benchmarks/tables.py --write

corpora: .venv/.test  ## throughput of corpora; what kills of workers, drivers and a Ray node leave behind
	@$(MODELS)
	@.venv/bin/python benchmarks/corpora.py --record
	@.venv/bin/python benchmarks/corpora_kill.py --record
	@.venv/bin/python benchmarks/corpora_kill.py --ray --record
	@.venv/bin/python benchmarks/tables.py --write

fuzz: .venv/.test  ## damaged files and rude clients for SECONDS=600; ARGS=--seed N for others
	@$(MODELS)
	@.venv/bin/python benchmarks/fuzz.py --seconds $(SECONDS) --record $(ARGS)
	@.venv/bin/python benchmarks/tables.py --write

test-aarch64: .venv/.run  ## the product on emulated 64 bit ARM, as root: slow, its log is kept
	@$(MODELS)
	@PYTHONPATH=.:engines:kernels .venv/bin/python benchmarks/aarch64.py run $(ARGS)

golden: .venv/.test peers  ## record MediaPipe's own points anew
	@mkdir -p out
	@.venv/bin/python -c "import numpy, skimage.data; numpy.save('out/astronaut.npy', skimage.data.astronaut())"
	@.venv-peers/bin/python tests/golden/make_face_mesh.py out/astronaut.npy --clip realtime_affect/demo/demo.mp4

sbom: .venv/.run .venv-sbom/.ready  ## what an installation is made of: CycloneDX and licences, in out/sbom
	@.venv-sbom/bin/python deploy/sbom.py .venv/bin/python out/sbom

clean:  ## remove environments and caches; results under out/ stay
	rm -rf .venv .venv-peers .venv-sbom .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or later is needed, this is $$($(PYTHON) --version). Name another: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv .venv >/dev/null 2>&1 || { rm -rf .venv; $(call apt,python3-venv); $(PYTHON) -m venv .venv; }
	@$(INSTALL) pip || { rm -rf .venv; exit 1; }

.venv/.run: pyproject.toml constraints.txt | .venv/bin/pip
	@echo "installing into .venv (about 1 GB, once)"
	@$(INSTALL) --build-constraint constraints.txt --editable '.[gui,streams]'
	@.venv/bin/python -c 'import affect_engines.blocks, realtime_affect.runtime.pipeline'  # compiles kernels, once
	@touch $@

.venv/.test: .venv/.run
	@$(INSTALL) --group dev --editable '.[batch]'
	@$(call qt,offscreen) || { $(call apt,$(QT_PACKAGES)); }
	@touch $@

.venv/.torch: .venv/.test
	@$(INSTALL) --group torch
	@touch $@

.venv-sbom/.ready:
	@$(PYTHON) -m venv .venv-sbom
	@.venv-sbom/bin/python -m pip --disable-pip-version-check install --quiet cyclonedx-bom==7.5.0
	@touch $@

.venv-peers/.ready:
	@$(PYTHON) -m venv .venv-peers
	@.venv-peers/bin/python -m pip --disable-pip-version-check install --quiet mediapipe==0.10.21
	@touch $@
