"""Grammars: what can make a value of each type, from blocks and literals, at what cost."""
