"""The tables of the catalogue, and the database they are in."""
