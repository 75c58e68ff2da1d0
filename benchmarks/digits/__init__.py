"""Lists of handwritten digits: how they are made and read, and the controls."""
