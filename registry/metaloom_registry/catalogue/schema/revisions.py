"""The history of the schema: each revision in order, the last being what this Metaloom reads."""

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
HEAD = REVISIONS[-1]
