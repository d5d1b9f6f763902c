"""Translators between wire formats and tensors. They are pure and independent of each other."""
