"""TensorFlow's versions are whole numbers of 64 bits. Pure."""


def number_of(version: str) -> int:
    """The number that stands for a version."""
    return int(version) if version.isdecimal() and len(version) < 19 else 1
