# `make` shows what there is. Set-up is part of every target that needs one; see .ci/setup.
# PYTHON=python3.12 names another Python, YES=1 answers the set-up's question.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-kernels test-distros check bench fuzz mutants gallery man clean

BIN := .venv/bin
PYTEST := .ci/as-root $(BIN)/python -m pytest -p no:cacheprovider
COMPILED := $(BIN)/python -m compileall -q analyzer loadgen reports && \
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -c 'from reports.run import page; page.compile_templates()'
KERNELS := 5.10 6.1 6.12 7.2
LAW_TESTS := $(addprefix tests/lab/test_,kernels.py engines.py lab_matrix.py weight_zero.py timeouts_changed.py burst.py)

help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: ## Lab up, a burst of 50 requests, the page, lab down (KEEP=1 leaves the lab up)
	@.ci/setup demo
	@.ci/as-root $(BIN)/python .ci/demo.py

test: ## All checks, then all tests: unit, lab, browser (ARGS='-k burst' goes to pytest; HYPOTHESIS_PROFILE=thorough searches longer)
	@.ci/setup test
	@$(MAKE) --no-print-directory check
# Hundreds of processes import the product, and what runs as root keeps no bytecode (.ci/as-root).
	@$(COMPILED)
ifeq ($(strip $(ARGS)),)
	@$(BIN)/python .ci/suites.py
else
	@$(PYTEST) $(ARGS)
endif

check: ## Lint, format, types, import direction; no root needed
	@.ci/setup check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy .ci/*.py
	$(BIN)/lint-imports

test-kernels: ## The lab tests that hold the kernel's law, on 5.10, 6.1, 6.12 and 7.2 (KERNELS='7.2'; half an hour)
	@.ci/setup test
	@for kernel in $(KERNELS); do \
		echo "kernel $$kernel"; \
		LG_KERNEL=$$kernel .ci/as-root $(BIN)/python -m pytest -p no:cacheprovider $(LAW_TESTS) $(ARGS) || exit; \
	done

test-distros: ## make demo and make test in fresh roots of Debian 12 and 13 (RELEASES=trixie; hours, needs debootstrap)
	@.ci/setup check
	@.ci/as-root $(BIN)/python .ci/distros.py

bench: ## Measurements in tests/bench; they print numbers and may be slow
	@if ! ls tests/bench/test_*.py >/dev/null 2>&1; then \
		echo "bench: there is nothing in tests/bench yet"; \
	else \
		.ci/setup test && $(COMPILED) && \
			.ci/as-root $(BIN)/python -m pytest -p no:cacheprovider -s tests/bench $(ARGS); \
	fi

fuzz: ## Mutated inputs through each reader, 60 s for each (ARGS='runs --seed 7 --count 1'; ARGS='--seconds 600')
	@.ci/setup check
	@PYTHONPATH=. $(BIN)/python -m tests.fuzz $(ARGS)

mutants: ## Small changes to the core modules that no test notices (ARGS='analyzer.ipvs.timers*'; 20 minutes)
	@.ci/setup check
	@rm -rf mutants
	@$(BIN)/mutmut run $(ARGS)
	@$(BIN)/mutmut results | sed -nE 's/^ *(.*): (survived|no tests)$$/\1/p' | xargs -rn1 $(BIN)/mutmut show

gallery: ## Pages of the recordings in tests/data, and their pictures, in docs/gallery
	@.ci/setup test
	@PYTHONPATH=. $(BIN)/python .ci/gallery.py

man: ## Man pages of every command, in dist/man (man -M dist/man loadgen-burst)
	@.ci/setup check
	@PYTHONPATH=. $(BIN)/python .ci/man.py

clean: ## Remove .venv and caches; recordings in runs/ stay
	rm -rf .venv dist mutants .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
