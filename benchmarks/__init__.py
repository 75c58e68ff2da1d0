"""Measurements of Metaloom: `python -m benchmarks.<name> --json` (see benchmarks.contract)."""
