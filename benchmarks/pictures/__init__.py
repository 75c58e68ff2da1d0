"""Pictures drawn of stored results: python -m benchmarks.pictures.<name>."""
