"""Why there is no image."""


class CannotBuild(Exception):
    """A program is missing or failed; the sentence says which and what to do."""
