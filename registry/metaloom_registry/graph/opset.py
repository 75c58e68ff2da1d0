"""The number of the newest opset, for those who need it without the table of operations."""

OPSET = 2
"""A document of opset n uses operations whose `since` is at most n."""
