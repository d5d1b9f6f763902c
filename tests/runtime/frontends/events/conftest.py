"""Events for a real server, and its models."""

import json
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import httpx
import pytest

from tests import models
from tests.runtime.frontends.conftest import Served, serving

STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_ids = count(1)


def new_id() -> str:
    """Return an id that no other event of this run has."""
    return f"e-{next(_ids)}"


def headers(*, of: str | None = None, **attributes: str) -> dict[str, str]:
    """Return the headers of an event in binary mode with JSON as its data; `of` is its id, None: a new one."""
    given = {"specversion": "1.0", "id": of or new_id(), "source": "/tests", "type": "com.example.row", **attributes}
    return {"content-type": "application/json", **{f"ce-{name}": value for name, value in given.items()}}


def document(*, of: str | None = None, **members: Any) -> dict[str, object]:  # noqa: ANN401 - JSON values
    """Return an event in structured mode."""
    return {"specversion": "1.0", "id": of or new_id(), "source": "/tests", "type": "com.example.row", **members}


def post(
    served: Served,
    inputs: object = None,
    *,
    path: str = "/",
    body: bytes | None = None,
    head: Mapping[str, str] | None = None,
) -> httpx.Response:
    """Post one event in binary mode over its own connection."""
    content = json.dumps({"inputs": [1, 2] if inputs is None else inputs}).encode() if body is None else body
    with served.client() as client:
        return client.post(path, content=content, headers=head or headers())


def post_document(served: Served, value: object, *, path: str = "/", kind: str = STRUCTURED) -> httpx.Response:
    """Post an event in structured mode, or a batch of them."""
    with served.client() as client:
        return client.post(path, content=json.dumps(value), headers={"content-type": kind})


def event_headers(answer: httpx.Response) -> dict[str, str]:
    """Return the attributes of an event in binary mode."""
    return {name.removeprefix("ce-"): value for name, value in answer.headers.items() if name.startswith("ce-")}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A fast model: y = 2 x, with two numbers per row. It accepts batches, and its Service has a name."""
    folder = tmp_path_factory.mktemp("served")
    model = models.doubling(folder / "m.onnx")
    with serving(folder, model, env={"SCALEZERO_EVENT_BATCHES": "true", "K_SERVICE": "doubler"}) as served:
        yield served
