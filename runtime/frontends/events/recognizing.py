"""Whether a request is a CloudEvent. Pure, and light: every process imports it, and few receive events.

Source: CloudEvents 1.0.2, HTTP protocol binding, section 3: the content type selects the mode, else `ce-` headers.
"""

from typing import Final

from runtime.http.messages import Request

NAME: Final = "cloudevents"  # of the protocol, in settings and metrics
_CONTENT_TYPE: Final = b"application/cloudevents"  # structured mode; with -batch, batched mode
_BEGIN: Final = b"a"[0], b"A"[0]


def is_event(request: Request) -> bool:
    """Return whether a request is an event, or several, in any mode.

    One of `ce-specversion` and `ce-id` is enough, so that a sender who forgets the other one is told.
    """
    if request.header(b"ce-id") is not None or request.header(b"ce-specversion") is not None:
        return True
    kind = request.header(b"content-type")
    if not kind or kind[0] not in _BEGIN:
        return False
    return kind[: len(_CONTENT_TYPE)].lower() == _CONTENT_TYPE
