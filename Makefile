# `make demo` shows everything on simulated devices, `make up` runs it on ./devices.yaml (`PORT=3001`: the UI elsewhere), `make test` the tests.
# Everything is installed into .venv; `make` alone, which is `make install`, does just that.
SHELL := bash
PYTHON ?= python3
BIN := .venv/bin

# What Python compiles is kept (in __pycache__), whatever the shell says: what starts a second time starts at once.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install demo up test chaos mutants lint bench docs lock clean screenshots
.DEFAULT_GOAL := install

# The environment is made anew whenever the lock file changes. What only developers need comes on top of it.
.venv/.ready: requirements.lock pyproject.toml
	@rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

.venv/.dev: .venv/.ready requirements-dev.lock
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	touch $@

install: .venv/.ready

demo: .venv/.ready
	exec $(BIN)/air-pipeline demo $(PORT:%=--port %)

up: .venv/.ready
	exec $(BIN)/air-pipeline up $(PORT:%=--port %)

# `make test PYTEST_OPTIONS=--cov` shows what is covered, and takes half as long again.
# Three at a time: on two cores each waits for a third of its time, for a process, a disk or a device.
test: .venv/.dev
	$(BIN)/python -m pytest -m "not slow and not chaos" -n 3 --dist worksteal $(PYTEST_OPTIONS)

# Faults that take minutes to happen: kills by the hundred, full disks, power cuts. `make test` has the quick ones.
# What the tests counted is printed at the end.
chaos: .venv/.dev
	$(BIN)/python -m pytest -m chaos -n 2 --dist worksteal -rP $(PYTEST_OPTIONS)

# Whether the tests notice when what judges and counts is broken: two hours at most, outside of CI. Writes docs/testing.md.
mutants: .venv/.dev
	nice -n 19 $(BIN)/python -m air_pipeline_tests.mutating $(ONLY)

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit -q -c pyproject.toml -r air_pipeline

# `make bench FULL=1` measures the large sizes as well. InfluxDB is the one that .ci/build-influxd built, where it did: none is
# built for this. `python -m benchmarks --help` names the parts.
BUILT_INFLUXD = $${XDG_CACHE_HOME:-$$HOME/.cache}/air_pipeline/influxd-$$(cd .ci && \
	cat influxd/main.go influxd/go.mod influxd/go.sum build-influxd | sha256sum | cut -c1-16)

bench: .venv/.dev
	built="$(BUILT_INFLUXD)"; if [ -x "$$built" ]; then export AIR_PIPELINE_INFLUXD="$${AIR_PIPELINE_INFLUXD:-$$built}"; fi; \
	exec $(BIN)/python -m benchmarks $(if $(FULL),--full)

# The documentation as a site, in site/. The variable quiets a notice about mkdocs-material's successor.
docs: .venv/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The pictures of the README, from the demo in a real browser.
screenshots: .venv/.dev
	SCREENSHOTS=docs/images $(BIN)/python -m pytest -m browser air_pipeline_tests/browser/test_demo_ui.py

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-strip-extras

# Resolves the newest versions that fit pyproject.toml; commit the result.
lock: .venv/.dev
	$(LOCK) --upgrade --group install pyproject.toml -o requirements.lock
	$(LOCK) --upgrade --constraint requirements.lock --extra celery --extra s3 pyproject.toml -o requirements-many.lock
	$(LOCK) --upgrade --constraint requirements.lock --constraint requirements-many.lock --group dev pyproject.toml -o requirements-dev.lock

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage* dist site mutants
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
