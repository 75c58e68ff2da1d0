"""How blocks enter the catalogue, who may let them, and who is told."""
