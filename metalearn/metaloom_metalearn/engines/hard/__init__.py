"""The hard engine: terms over plain Python values, exactly and within bounds."""
