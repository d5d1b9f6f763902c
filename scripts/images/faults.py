"""The error of a build."""


class CannotBuild(Exception):
    """A program is missing, or a step failed; the message has the reason and the next step."""
