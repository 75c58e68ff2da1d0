"""How good few-shot methods are, over many episodes, and beyond what the supports show."""
