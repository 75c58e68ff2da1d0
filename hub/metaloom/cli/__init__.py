"""The command line: `metaloom`, one module a group of commands.

A command's module imports nothing heavy: what it needs of the SDK it reaches through the packages'
lazy names (`metaloom.Hub`), so that `metaloom --help` answers at once.
"""

from metaloom.cli.app import app, main

__all__ = ["app", "main"]
