"""Measurements: each module is one script that prints a table and writes its page of `docs/benchmarks`."""
