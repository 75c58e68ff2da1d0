"""The migrations, one a module, each after the one before it."""
