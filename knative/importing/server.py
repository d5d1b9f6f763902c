"""The description of another model server, as read from its container: the common result of all readers."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from knative.resources.errors import FieldFault, as_yaml
from knative.resources.guest import Folder
from knative.resources.pod import Container

Files = Mapping[str, str]  # the text of files from ConfigMaps, by file name

CONTAINERS: Final = ("spec", "template", "spec", "containers")

_INVALID: Final = re.compile(r"[^a-z0-9]+")
_MAX_NAME_LENGTH: Final = 60  # v1-<name> is one label of a host name, of at most 63 characters
_MAX_BATCH_SIZE: Final = 4096


class Omission(NamedTuple):
    """A part of the Deployment that the function does not have, and the reason or the replacement."""

    what: str
    why: str


class Url(NamedTuple):
    """The old and the new URL of an operation."""

    before: str
    now: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of the server."""

    name: str  # in the cluster
    called: str  # in the server
    origin: str  # the path or URI of the model in the server
    batch_size: int | None = None  # None: not configured
    max_wait: int | None = None  # us; None: not configured


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A model server, as read from its container."""

    title: str
    models: tuple[Model, ...]
    urls: tuple[Url, ...]
    conversions: tuple[tuple[str, ...], ...]  # for each model, the shell or Python lines that convert it to ONNX
    omitted: tuple[Omission, ...]
    protocol: str  # of the function, as a name for SCALEZERO_PROTOCOLS
    version: str  # of the models: the server's name for a first version
    ports: str  # of the server
    changes: tuple[str, ...]  # the changes for a client, except the ports
    example: str  # the body of a request with two rows, for a model with one input
    timeout: int | None = None  # of a request, in ms; None: not configured
    volumes: tuple[Mapping[str, object], ...] = ()  # of func.yaml, beside the cache
    folders: tuple[Folder, ...] = ()  # of the guest
    guest: str | None = None  # the URI of the WebAssembly guest; None: the server is no guest


class Reader(NamedTuple):
    """The reader for the containers of one server, and how to recognize them."""

    image: re.Pattern[str]  # matches the name of the image, without a tag
    program: str
    read: Callable[[Container, Files, str], Server]  # the last argument is the name of a model without a name


class Batching(NamedTuple):
    """The batching settings of a model; None: not configured."""

    size: int | None = None  # rows
    wait: int | None = None  # us


NOT_CONFIGURED: Final = Batching()


def model(called: str, *, origin: str, batching: Batching = NOT_CONFIGURED) -> Model:
    """Describe a model, with a name that Knative allows. Raises `FieldFault` if its name cannot be converted."""
    name = _INVALID.sub("-", called.lower()).strip("-")
    if name[:1].isdigit():
        name = f"m-{name}"
    if not name or len(name) > _MAX_NAME_LENGTH:
        allowed = f"a model's name with 1 to {_MAX_NAME_LENGTH} letters and digits"
        raise FieldFault(*CONTAINERS, value=as_yaml(called), allowed=allowed)
    size = batching.size and max(1, min(batching.size, _MAX_BATCH_SIZE))
    return Model(name=name, called=called, origin=origin, batch_size=size, max_wait=batching.wait)


def with_unique_names(models: Sequence[Model]) -> tuple[Model, ...]:
    """Return the models. Raises `FieldFault` if two of them have the same name in the cluster."""
    counts = Counter(each.name for each in models)
    for each in models:
        if counts[each.name] > 1:
            allowed = f"model names that differ in letters and digits: several names become {each.name}"
            raise FieldFault(*CONTAINERS, value=as_yaml(each.called), allowed=allowed)
    return tuple(models)
