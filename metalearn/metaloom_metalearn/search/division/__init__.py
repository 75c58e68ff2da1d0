"""Divide and conquer: programs put together from parts that are right on some examples each."""
