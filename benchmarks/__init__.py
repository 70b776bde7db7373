"""Measurements: each module is one script that prints a table, and writes the page of `docs/benchmarks` that quotes it."""
