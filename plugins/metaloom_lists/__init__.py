"""A plugin of Metaloom: primitives on lists, numbers and truth values."""
