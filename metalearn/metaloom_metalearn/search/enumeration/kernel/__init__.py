"""Enumeration compiled by numba: terms of integers, truth values, lists and tuples of these."""
