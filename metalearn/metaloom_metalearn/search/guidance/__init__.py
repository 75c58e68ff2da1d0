"""Guidance: what a network that saw solved tasks makes of a new one's examples."""
