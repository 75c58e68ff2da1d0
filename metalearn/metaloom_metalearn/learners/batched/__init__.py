"""Whole meta-batches at once, on an explicit task axis, with derivatives written out by hand."""
