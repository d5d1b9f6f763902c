"""Why a figure could not be measured."""


class CannotMeasure(Exception):
    """A server did not start, answered wrongly or failed under load; the message says which and how."""
