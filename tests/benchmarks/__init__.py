"""Ratios against a limit, measured in one run: ``python -m tests.benchmarks [name …] [--quick]``."""
