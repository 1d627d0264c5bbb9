"""Benchmarks. Each compares things side by side in one run, and prints a table; see docs/benchmarks.md."""
