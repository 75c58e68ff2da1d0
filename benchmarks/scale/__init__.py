"""A registry of a million blocks: its rows, the questions put to it, and MLflow beside it."""
