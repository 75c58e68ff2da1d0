"""Engines: what computes the values of a term."""
