"""Searches: arms that find terms for a task, and what they share."""
