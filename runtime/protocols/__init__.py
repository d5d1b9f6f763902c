"""Translators between wire formats and tensors: pure, and unaware of each other."""
