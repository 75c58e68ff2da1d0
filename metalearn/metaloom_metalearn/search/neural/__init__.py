"""Programs over trained blocks and new networks: generated, judged, and trained where that pays."""
