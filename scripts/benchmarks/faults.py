"""The error of a measurement."""


class CannotMeasure(Exception):
    """A server did not start, answered wrongly or failed under load. The message has the server and the reason."""
