"""What the benchmarks of the block format measure: kinds of modules, and attacks on their files."""
