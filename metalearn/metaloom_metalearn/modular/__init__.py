"""Modular meta-learning: modules and the structures that join them, learned from many tasks."""
