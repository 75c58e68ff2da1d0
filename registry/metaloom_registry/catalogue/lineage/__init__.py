"""What came from what: ancestry, runs, and the classes that were seen."""
