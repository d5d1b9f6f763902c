"""The function of the author's module that gets events, and how it is called.

SCALEZERO_EVENT_TARGET names it; otherwise it is FUNCTION_TARGET if that has a signature of events. The signature comes
from the decorator `functions_framework.cloud_event`, from FUNCTION_SIGNATURE_TYPE, or from the parameters.
"""

import os
from inspect import isasyncgenfunction, iscoroutinefunction, signature, unwrap
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtime.frontends.functions import event_values

if TYPE_CHECKING:
    from runtime.protocols.cloudevents import Event

SIGNATURE_TYPE: Final = "FUNCTION_SIGNATURE_TYPE"
_CLOUD_EVENT: Final = "cloudevent"  # the names of functions-framework
_BACKGROUND: Final = "event"
_OF_EVENTS: Final = (_CLOUD_EVENT, _BACKGROUND)
_PARAMETERS: Final = {_CLOUD_EVENT: ("cloud_event",), _BACKGROUND: ("data", "context")}


class TargetError(Exception):
    """The target cannot be called; the text says why, without folders and texts of other exceptions."""


class EventTarget(NamedTuple):
    """A function of the author, and its signature."""

    function: FunctionType
    background: bool  # it takes data and context, not a CloudEvent

    def call(self, event: "Event") -> object:
        """Call the function with the event. Raises `BadEvent`, and what the function raises."""
        if self.background:
            return self.function(*event_values.data_and_context(event))
        return self.function(event_values.cloud_event(event))


def default_signature(target: str, event_target: str | None) -> str | None:
    """Return the signature with which functions-framework loads FUNCTION_TARGET; None: its own default.

    Raises `TargetError` for a FUNCTION_SIGNATURE_TYPE that functions-framework does not know.
    """
    chosen = os.environ.get(SIGNATURE_TYPE)
    if chosen not in (None, "", "http", "typed", *_OF_EVENTS):
        raise TargetError(f"{SIGNATURE_TYPE}={chosen!r}: expected http, typed, cloudevent or event")
    return chosen or (_CLOUD_EVENT if target == event_target else None)


def find(module: ModuleType, target: str, event_target: str | None) -> EventTarget | None:
    """Return the function of an imported module that gets events; None: no function does. Raises `TargetError`.

    `target` is FUNCTION_TARGET, which functions-framework has loaded.
    """
    from functions_framework import _function_registry as registry

    loaded_as = registry.get_func_signature_type(target, "")
    if event_target in (None, target):
        if loaded_as in _OF_EVENTS:
            return _target(module, target, loaded_as)
        if event_target is None:
            return None
        raise TargetError(f"{target!r} has the signature {loaded_as}; {_advice(target)}")
    assert event_target is not None  # noqa: S101 - compared above
    if loaded_as in _OF_EVENTS:
        raise TargetError(
            f"both {target!r}, which has the signature {loaded_as}, and {event_target!r} take events; set only one of "
            "FUNCTION_TARGET and SCALEZERO_EVENT_TARGET to a function that takes events, and no "
            f"{SIGNATURE_TYPE} beside SCALEZERO_EVENT_TARGET"
        )
    declared = registry.REGISTRY_MAP.get(event_target)
    if declared not in (None, *_OF_EVENTS):
        raise TargetError(f"{event_target!r} has the signature {declared}; {_advice(event_target)}")
    return _target(module, event_target, declared)


def _advice(name: str) -> str:
    return f"decorate {name!r} with functions_framework.cloud_event, or set SCALEZERO_EVENT_TARGET to another function"


def _target(module: ModuleType, name: str, kind: str | None) -> EventTarget:
    """Return the target; `kind` None: its parameters decide."""
    function: Any = getattr(module, name, None)
    if not isinstance(function, FunctionType):
        what = "it has no function" if function is None else "not a function in it:"
        raise TargetError(f"{what} {name!r}; set SCALEZERO_EVENT_TARGET to the name of a function in the file")
    inner = unwrap(function)
    if any(check(each) for check in (iscoroutinefunction, isasyncgenfunction) for each in (function, inner)):
        raise TargetError(
            f"{name!r} is asynchronous; write it with def instead of async def: each call has its own thread"
        )
    for each in _OF_EVENTS if kind is None else (kind,):
        if _accepts(function, len(_PARAMETERS[each])):
            return EventTarget(function, background=each == _BACKGROUND)
    forms = " or ".join(f"{name}({', '.join(_PARAMETERS[each])})" for each in (_OF_EVENTS if kind is None else (kind,)))
    fits_other = kind == _CLOUD_EVENT and _accepts(function, len(_PARAMETERS[_BACKGROUND]))
    advice = f"; {SIGNATURE_TYPE}=event passes data and context" if fits_other else ""
    raise TargetError(f"{name!r} has the parameters {signature(function)}; expected {forms}{advice}")


def _accepts(function: FunctionType, count: int) -> bool:
    try:
        signature(function).bind(*range(count))
    except TypeError:
        return False
    return True
