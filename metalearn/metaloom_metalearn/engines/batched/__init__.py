"""The batched engine: a term as an `nn.Module` that computes all examples at once."""
