"""Families of curves: their tasks, and the controls that fit them without a search."""
