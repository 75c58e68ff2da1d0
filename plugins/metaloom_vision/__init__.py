"""A plugin of Metaloom: encoders and image tasks."""
