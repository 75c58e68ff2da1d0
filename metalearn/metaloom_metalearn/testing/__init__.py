"""The suites that prove an implementation of one of this package's Protocols."""
