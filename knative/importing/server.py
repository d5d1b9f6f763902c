"""What a foreign server's manifest says of the models it serves: the result of reading one, whoever's it is."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from knative.resources.errors import FieldFault, as_yaml
from knative.resources.pod import Container

Files = Mapping[str, str]  # what ConfigMaps hold, by the name of the file

CONTAINERS: Final = ("spec", "template", "spec", "containers")

_UNFIT: Final = re.compile(r"[^a-z0-9]+")
_LONGEST: Final = 60  # v1-<name> is one label of a host name
_LARGEST_BATCH: Final = 4096


class Left(NamedTuple):
    """Something of the Deployment that the function does not have, and why, or what stands in for it."""

    what: str
    why: str


class Url(NamedTuple):
    """What a client asked, and what it asks now."""

    before: str
    now: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model: its name in the cluster and the one it had, where it lay, and its batching where that is said."""

    name: str
    called: str
    origin: str
    batch_size: int | None = None
    max_wait: int | None = None  # us


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server, read from its container."""

    title: str
    models: tuple[Model, ...]
    urls: tuple[Url, ...]
    conversions: tuple[tuple[str, ...], ...]  # for each model, how ONNX is made of it: lines of a shell or of Python
    left: tuple[Left, ...]
    protocol: str  # that the function answers, by its name in SCALEZERO_PROTOCOLS
    version: str  # of the models, as the server would have called the first one
    ports: str  # where it answered
    changes: tuple[str, ...]  # what a client notices besides the ports
    example: str  # the body of a request for a prediction of two rows, to a model of one input
    timeout: int | None = None  # ms that a request may take


class Reader(NamedTuple):
    """How a server is told from others, and read."""

    image: re.Pattern[str]  # found in the image's name, without a tag
    program: str
    read: Callable[[Container, Files, str], Server]  # the last names the model where nothing else does


class Batching(NamedTuple):
    """Bounds of a batch as far as they are said: rows, and microseconds to wait for them."""

    size: int | None = None
    wait: int | None = None


NOTHING_SAID: Final = Batching()


def model(called: str, *, origin: str, batching: Batching = NOTHING_SAID) -> Model:
    """Describe a model under a name that Knative takes. Raises `FieldFault` for one that no name can be made of."""
    name = _UNFIT.sub("-", called.lower()).strip("-")
    if name[:1].isdigit():
        name = f"m-{name}"
    if not name or len(name) > _LONGEST:
        allowed = f"a model's name of letters and digits, of which Knative takes up to {_LONGEST}"
        raise FieldFault(*CONTAINERS, value=as_yaml(called), allowed=allowed)
    size = batching.size and max(1, min(batching.size, _LARGEST_BATCH))
    return Model(name=name, called=called, origin=origin, batch_size=size, max_wait=batching.wait)


def told_apart(models: Sequence[Model]) -> tuple[Model, ...]:
    """Give the models. Raises `FieldFault` where two would have one name."""
    counts = Counter(each.name for each in models)
    for each in models:
        if counts[each.name] > 1:
            allowed = f"models whose names differ in letters and digits: more than one becomes {each.name}"
            raise FieldFault(*CONTAINERS, value=as_yaml(each.called), allowed=allowed)
    return tuple(models)
