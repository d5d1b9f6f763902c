"""A function that posts the changes of a SeaweedFS store to a sink, as CloudEvents with an S3 notification as data.

    SeaweedFS's filer -> its webhook -> POST / of this function -> CloudEvent -> POST to K_SINK

It needs no model: `FUNCTION_SOURCE=scripts/bridges/seaweedfs.py K_SINK=http://... scalezero serve`. In a cluster a
SinkBinding sets K_SINK. SeaweedFS's notification.toml names the function as the endpoint of `[notification.webhook]`.

The filer also reports folders, parts of uploads and unchanged objects; these get 204 and are not passed on. It sends a
notification again if the answer is not 2xx. The id of an event is then the same, so a receiver can tell.

Events are sent in structured mode: Knative does not decode the headers of binary mode, so a Trigger's filter would
compare the percent-encoded key of an object.
"""

import os
from http import HTTPStatus
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

import flask
from flask.typing import ResponseReturnValue

from runtime.configuration.sink import checked_url, extensions
from runtime.protocols.cloudevents import STRUCTURED_TYPE, write_structured
from runtime.protocols.cloudevents.s3_notifications import event_of
from runtime.protocols.cloudevents.seaweedfs import notification_of

_TIMEOUT: Final = 60.0  # seconds: the sink may start for this event
_SINK: Final = checked_url(os.environ.get("K_SINK", ""))
_EXTENSIONS: Final = extensions(os.environ.get("K_CE_OVERRIDES"))
_direct: Final = build_opener(ProxyHandler({}))  # a sink is in the cluster: no proxy


def handle(request: flask.Request) -> ResponseReturnValue:
    """Pass a notification on. Answer 204, or 502 if the sink does not accept the event; raise `BadEvent`."""
    notification = notification_of(request.get_json(force=True))
    if notification is None:
        return "", HTTPStatus.NO_CONTENT
    event = event_of(notification)
    body = write_structured(event._replace(attributes={**event.attributes, **_EXTENSIONS}))
    post = Request(_SINK, body, {"content-type": STRUCTURED_TYPE.decode()}, method="POST")  # noqa: S310 - its scheme is checked above
    try:
        with _direct.open(post, timeout=_TIMEOUT):
            return "", HTTPStatus.NO_CONTENT
    except HTTPError as error:
        with error:
            return f"the sink answered {error.code} to the event {event.id}", HTTPStatus.BAD_GATEWAY
    except (URLError, OSError) as error:
        return f"the sink cannot be reached: {getattr(error, 'reason', error)}", HTTPStatus.BAD_GATEWAY
