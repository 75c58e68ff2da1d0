"""What the benchmarks of program search share: their tasks, their arms, a network as a control."""
