"""Collecting what nobody needs, repairing, and moving between registries."""
