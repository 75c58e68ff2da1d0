"""A plugin of Metaloom: classification heads and other learning primitives."""
