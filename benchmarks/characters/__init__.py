"""Handwritten characters: the data, the encoder, how it is trained, and the other learners."""
