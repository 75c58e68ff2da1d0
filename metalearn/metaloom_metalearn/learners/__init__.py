"""What changes parameters: one learner a file."""
