"""Strategies: searches with `ask` and `tell` that change programs instead of listing them."""
