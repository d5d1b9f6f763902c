"""The data of a reply event, apart from the modules that only events need: a start imports them no sooner."""

from typing import NamedTuple


class EventData(NamedTuple):
    """The data of a reply whose attributes are the default ones."""

    content_type: str
    data: bytes
