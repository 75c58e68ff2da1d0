"""Bottom-up enumeration: all programs of a grammar, the cheapest first, each behaviour once."""
