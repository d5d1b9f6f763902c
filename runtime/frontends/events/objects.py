"""Events about stored objects: the model gets the object as the data of the event.

The data of such an event is an S3 event notification with one object. Sources: see `cloudevents.s3_notifications`.
"""

from typing import TYPE_CHECKING, Any, Final

from runtime.errors import BadEvent
from runtime.frontends import content
from runtime.protocols.cloudevents import NO_DOCUMENT, Event, is_json, s3_notifications
from runtime.protocols.json import slices

if TYPE_CHECKING:
    from runtime.event_objects import EventObjects
    from runtime.settings import Settings

_MARK: Final = b'"bucket"'  # a name in each form of a notification


def may_be_named(event: Event) -> bool:
    """Return whether the data may be a notification. This is fast, because each event is checked."""
    if event.has_document:
        return s3_notifications.is_notification(event.document)
    return _MARK in event.data


class StoredObjects:
    """Fetches the objects that events name."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self._objects: EventObjects | None = None

    async def with_object(self, event: Event) -> Event:
        """Return the event with its object as the data; any other event unchanged.

        Raises `BadEvent` unless the event is about one object that was stored, and the errors of `EventObjects.fetch`.
        """
        document: Any = event.document
        if not event.has_document:
            if event.content_type is not None and not is_json(event.content_type):
                return event
            document = await content.run_slices(slices.parse(event.data))
        if not s3_notifications.is_notification(document):
            return event
        named = s3_notifications.references(document)
        stored = [each for each in named if each.created]
        if len(stored) != 1 or len(named) != 1:
            got = f"{len(named)} objects, of which {len(stored)} were stored"
            raise BadEvent("data", got=got, expected="a notification about one object that was stored")
        fetched = await self._fetcher().fetch(stored[0])
        return event._replace(content_type=fetched.content_type, data=fetched.data, document=NO_DOCUMENT)

    def _fetcher(self) -> "EventObjects":
        if self._objects is None:
            from runtime.event_objects import EventObjects, Rules

            self._objects = EventObjects(Rules.of(self._settings))
        return self._objects
