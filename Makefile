# Each target makes the environment it needs: a fresh clone can run any of them first.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
BENCH_STAMP := .venv/.bench-installed

.PHONY: demo test lint bench clean

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

$(BENCH_STAMP): $(STAMP) benchmarks/constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --constraint benchmarks/constraints.txt --editable '.[bench]'
	# Only the files of sbibm are used; what it requires is out of date.
	$(BIN)/pip install --quiet --no-deps --constraint benchmarks/constraints.txt sbibm
	$(BIN)/pip uninstall --quiet --yes torchvision 2>/dev/null || true
	touch $@

demo: $(STAMP)
	$(BIN)/pushforward fit cosmic-web --budget 4m --out runs/demo
	$(BIN)/pushforward validate runs/demo
	$(BIN)/python -m benchmarks.cosmic_web runs/demo

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

bench: $(BENCH_STAMP)
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv runs build dist
