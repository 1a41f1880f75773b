# `make` alone prints the targets; each one sets up what it needs.
PYTHON ?= python3
# One environment for each interpreter, so that two can be tested side by side.
TAG    := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
# NEWEST=1: one with the newest libraries that setup.cfg allows. Otherwise an interpreter whose libraries are locked for the
# packages (make lock) takes these versions, so that users get what is tested here.
VENV   ?= .venv-$(TAG)$(if $(NEWEST),-newest)
BIN    := $(VENV)/bin
LOCKED := $(if $(NEWEST),,$(wildcard tools/packages/locked/$(TAG).txt))
WANTED := $(shell cat setup.cfg tools/packages/locked/*.txt | cksum | cut -d' ' -f1)
READY  := $(VENV)/ready-$(WANTED)
DEMO_READY := $(VENV)/demo-$(WANTED)
ENGINES := .venv-engines/ready
# What draws hardware/: not even the tests need it.
DRAWING := .venv-hardware/ready-$(shell cksum tools/hardware/requirements.txt | cut -d' ' -f1)
# What builds the Debian packages: nothing of it is needed to run or test fabgate.
PACKAGING := .venv-packages/ready-2
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
# pip takes no list with digests beside requirements that have none, so they are left out here. The old marks go, or they
# would still count if setup.cfg or a list became what it was.
PREPARE = rm -f $(VENV)/ready-* $(VENV)/demo-* && cat /dev/null $(LOCKED) | sed '/^ *--hash/d; s/ *\\$$//' >$(VENV)/constraints.txt
INSTALL = $(PIP) install --constraint $(VENV)/constraints.txt
# Environments of other interpreters: bench-collector measures there too what depends most on Django.
OTHERS := $(filter-out $(VENV)/,$(dir $(wildcard .venv-*/$(notdir $(READY)))))
# How many test processes: two more than cores, because a test often waits for a process that it has started. A browser
# and PostgreSQL work beside the tests, and each further process makes a site or a database of its own: one more there.
CORES  := $(shell getconf _NPROCESSORS_ONLN)
JOBS   ?= $(shell echo $$(( $(CORES) + 2 )))
BESIDE := $(shell echo $$(( $(CORES) + 1 )))
# More arguments for pytest: make test ARGS='-k journal'
ARGS   ?=
# Run separately: Playwright keeps an event loop in its process, and Django refuses its database where one runs.
PAGES := tests/browser
# Chromium's headless shell draws the same pages for less; Debian has it as a package since 2025.
BROWSER = command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null || sh tools/apt chromium-headless-shell || sh tools/apt chromium
IN_BROWSER = $(BIN)/python -m pytest -n $(BESIDE) --dist worksteal $(PAGES) $(ARGS)
# Tests start hundreds of processes of ours; without stored bytecode each would compile all of fabgate again.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help demo test test-engines browser check panel-pictures screenshots bench bench-collector soak mutants coverage hardware packages lock test-install test-install-core test-vm clean

help:  ## print this list
	@echo "fabgate $$(sed -n 's/^__version__ = "\(.*\)"/\1/p' fabgate/__init__.py): a badge powers a machine, and every minute reaches the collector once"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24
	@echo
	@echo "  PYTHON=python3.13 chooses the interpreter; ARGS='-k journal' goes to pytest; NEWEST=1 takes the newest libraries."

# python3-venv is a separate package on Debian. Root installs it; others get a message.
$(BIN)/python:
	@test -n "$(TAG)" || { echo "error: '$(PYTHON)' does not run. Install Python 3.11 or newer, or set PYTHON=…"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: found Python $(TAG), wanted 3.11 or newer. Set PYTHON=…"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || sh tools/apt python3-venv
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(DEMO_READY): | $(BIN)/python
	@echo "installing what the demo needs"
	@$(PREPARE)
	@$(INSTALL) -e '.[demo]'
	@$(PIP) install --no-deps --requirement tools/packages/locked/mfrc522.txt
	@touch $@

$(READY): | $(BIN)/python
	@echo "installing what development needs"
	@$(PREPARE)
	@$(INSTALL) -e '.[dev]'
	@$(PIP) install --no-deps --requirement tools/packages/locked/mfrc522.txt
	@touch $@ $(DEMO_READY)

# An environment of their own: what these programs need is nothing of ours.
$(ENGINES): | $(BIN)/python
	@echo "installing the programs that make test-engines talks to"
	@$(PYTHON) -m venv .venv-engines
	@.venv-engines/bin/python -m pip --disable-pip-version-check --quiet install 'localstripe == 1.15.10' 'trytond == 8.2.*' 'trytond_account_invoice == 8.2.*' 'proteus == 8.2.*'
	@touch $@

demo: $(DEMO_READY)  ## play a day in a simulated workshop: gates, broker, collector, minutes
	@$(BIN)/fabgate demo --script && echo && echo "Now open the workshop yourself, and tap badges in it:  $(BIN)/fabgate demo"

test: $(READY)  ## all tests, with a real broker, PostgreSQL and browser (12 to 25 minutes on two cores)
	@command -v mosquitto >/dev/null || test -x /usr/sbin/mosquitto || sh tools/apt mosquitto
	@command -v strace >/dev/null || sh tools/apt strace
	@command -v curl >/dev/null || sh tools/apt curl
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || sh tools/apt postgresql
	@$(BROWSER)
	@ldconfig -p 2>/dev/null | grep -q libatomic.so.1 || sh tools/apt libatomic1  # for Playwright's driver; not in a bare Debian 12
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal --ignore=$(PAGES) $(ARGS)
	@echo "the collector again, on PostgreSQL"
	@$(BIN)/python -m tests.support.postgresql $(BIN)/python -m pytest -q -n $(BESIDE) --dist worksteal --distinct-statements tests/collector $(ARGS)
	@echo "the pages in a real Chromium"
	@$(IN_BROWSER) || test $$? -eq 5  # 5: ARGS selects no test here

browser: $(READY)  ## the browser tests alone: every page in Chromium, in each width, theme and language
	@$(BROWSER)
	@ldconfig -p 2>/dev/null | grep -q libatomic.so.1 || sh tools/apt libatomic1  # for Playwright's driver; not in a bare Debian 12
	@$(IN_BROWSER)

test-engines: $(READY) $(ENGINES)  ## months against real programs: hledger, Stripe's SDK, Tryton, LibreOffice
	@command -v hledger >/dev/null || sh tools/apt hledger
	@command -v soffice >/dev/null || sh tools/apt libreoffice-calc-nogui
	@FABGATE_ENGINES=$(dir $(ENGINES)) $(BIN)/python -m pytest -q -n 0 tests/collector/engines/engine_*.py $(ARGS)

# What tries the packages. Root installs it; others, and computers that let no root start, get the reason from pytest.
INSTALL_NEEDS = if [ "$$(id -u)" = 0 ]; then \
    for pair in systemd-nspawn:systemd-container mmdebstrap:mmdebstrap dh:debhelper apt-ftparchive:apt-utils gpg:gnupg; do \
	command -v $${pair%%:*} >/dev/null || sh tools/apt $${pair\#*:} || true; done; fi
IN_ROOTS = $(BIN)/python -m pytest -n $(CORES) --dist worksteal -v

test-install-core: $(READY) $(PACKAGING)  ## both packages in a real Debian 13: install, update, purge, three kills (10 minutes; root)
	@$(INSTALL_NEEDS)
	@$(IN_ROOTS) tests/install/install_core.py $(ARGS)

test-install: $(READY) $(PACKAGING)  ## the packages in real Debian 12 and 13, with a report in docs/trials (an hour; root)
	@$(INSTALL_NEEDS)
	@$(IN_ROOTS) -o faulthandler_timeout=0 --report=docs/trials tests/install/install_*.py $(ARGS)

test-vm: $(READY) $(PACKAGING)  ## the package of the gate on a kernel with pins, in QEMU: faults, panic, power cuts (15 minutes; root)
	@$(INSTALL_NEEDS)
	@if [ "$$(id -u)" = 0 ]; then command -v qemu-system-x86_64 >/dev/null || sh tools/apt qemu-system-x86 || true; fi
	@$(BIN)/python -m pytest -n $(CORES) --dist loadscope -v -o faulthandler_timeout=0 tests/vm/vm_*.py $(ARGS)

check: $(READY)  ## ruff (wide) and mypy --strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict

panel-pictures: $(READY)  ## draw every message on every display, in docs/panels
	@$(BIN)/python -m tests.drivers.panel_pictures

screenshots: $(READY)  ## make a picture of every page in both languages, in build/screenshots
	@command -v chromium >/dev/null || sh tools/apt chromium
	@ldconfig -p 2>/dev/null | grep -q libatomic.so.1 || sh tools/apt libatomic1  # for Playwright's driver; not in a bare Debian 12
	@$(BIN)/python -m tests.browser.screenshots

bench: $(READY)  ## measure each promised figure of the gate (ONLY=id for one)
	@command -v mosquitto >/dev/null || test -x /usr/sbin/mosquitto || sh tools/apt mosquitto
	@$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY))

bench-collector: $(READY)  ## the same for the collector; the first run makes a million sessions
	@command -v mosquitto >/dev/null || test -x /usr/sbin/mosquitto || sh tools/apt mosquitto
	@command -v chromium >/dev/null || sh tools/apt chromium
	@ldconfig -p 2>/dev/null | grep -q libatomic.so.1 || sh tools/apt libatomic1  # for Playwright's driver; not in a bare Debian 12
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || sh tools/apt postgresql
	@$(BIN)/python -m bench --set collector $(if $(ONLY),--only $(ONLY)) $(OTHERS:%=--beside %bin/python)

soak: $(READY)  ## ten times as many kills, 100,000 power cuts, and more random examples (an hour on two cores)
	@FABGATE_SOAK=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m 'kills or chance' -o faulthandler_timeout=0 $(ARGS)

mutants: $(READY)  ## break the rules, one fault at a time; the tests must notice each
	@$(BIN)/python -m tests.mutants

coverage: $(READY)  ## measure branch coverage of the rules, the gate and the drivers
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run -m pytest -q -m 'not kills' --ignore=$(PAGES) $(ARGS)
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report --include='fabgate/rules/*' --fail-under=100
	@$(BIN)/coverage report --include='fabgate/gate/*,fabgate/drivers/*' --fail-under=95

$(DRAWING): | $(BIN)/python
	@echo "installing what draws hardware/ (1 GB)"
	@$(PYTHON) -m venv .venv-hardware
	@.venv-hardware/bin/python -m pip --disable-pip-version-check --quiet install -r tools/hardware/requirements.txt
	@touch $@

hardware: $(DRAWING)  ## draw what is out of date in hardware/: wiring, lists, labels, schematic, enclosure
	@command -v dot >/dev/null || sh tools/apt graphviz
	@.venv-hardware/bin/python -m tools.hardware $(ARGS)

$(PACKAGING): | $(BIN)/python
	@echo "installing what builds packages"
	@$(PYTHON) -m venv .venv-packages
	@.venv-packages/bin/python -m pip --disable-pip-version-check --quiet install 'installer >= 1' 'pip >= 24' 'setuptools >= 77' uv wheel
	@touch $@

packages: $(PACKAGING)  ## build the Debian packages and a signed apt repository, in dist (KEY=fingerprint of the release key)
	@command -v dh >/dev/null || sh tools/apt debhelper
	@command -v apt-ftparchive >/dev/null || sh tools/apt apt-utils
	@command -v gpg >/dev/null || sh tools/apt gnupg
	@.venv-packages/bin/python -m tools.packages $(if $(KEY),--key $(KEY)) $(ARGS)

lock: $(PACKAGING)  ## take the newest libraries that setup.cfg allows into the packages of the collector
	@for python in 3.11 3.13; do .venv-packages/bin/uv pip compile --quiet --upgrade setup.cfg --extra collector --extra postgresql --extra stripe \
	    --python-version $$python --python-platform linux --generate-hashes --no-header --no-annotate --output-file tools/packages/locked/$$python.txt || exit; done

clean:  ## remove the environments and caches (never your data)
	rm -rf .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
