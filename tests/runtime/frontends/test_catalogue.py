"""The catalogue matches the protocols' modules, and imports none of them."""

import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import combinations
from typing import cast

import orjson
import pytest

from runtime.errors import BadSetting, UnknownPath
from runtime.frontends import catalogue
from runtime.frontends.application import Application
from runtime.frontends.catalogue import PROTOCOLS
from runtime.frontends.endpoints import Endpoints
from runtime.frontends.mounting import context
from runtime.frontends.protocol import Grpc, Path, Protocol, Rest
from runtime.http.messages import Request
from runtime.service import Service
from runtime.settings import Settings

MODULES = sorted(
    {each.rest.module for each in PROTOCOLS if each.rest} | {each.module for each in catalogue.grpc_services(PROTOCOLS)}
)


def declared(module: str) -> set[str]:
    """Return the handler keys that the catalogue declares for a module."""
    rests = [each.rest for each in PROTOCOLS if each.rest and each.rest.module == module]
    paths = {path.handler for rest in rests for path in (*rest.paths, *rest.generic)}
    services = [each for each in catalogue.grpc_services(PROTOCOLS) if each.module == module]
    return paths | {method for each in services for method in (*each.methods, *each.streams)}


def application(**settings: object) -> Application:
    return Application(Service(Settings(model_uri="/m.onnx", **settings), process_started=0.0))  # type: ignore[arg-type]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_exactly_the_handlers_of_the_catalogue(module: str) -> None:
    served = application()
    service = Service(Settings(), process_started=0.0)
    arguments = context(PROTOCOLS, service=service, edge=served, endpoints=Endpoints(service, None))
    assert set(import_module(module).handlers(arguments)) == declared(module)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda each: each.name)
def test_a_protocol_refuses_a_path_in_its_own_form(protocol: Protocol) -> None:
    paths = {each.refuse for each in protocol.grpc} | ({protocol.rest.refuse} if protocol.rest else set())
    for path in paths:
        module, _, name = path.partition(":")
        assert getattr(import_module(module), name)(UnknownPath("/x")).headers


@pytest.mark.parametrize(
    "names",
    [names for count in range(1, len(PROTOCOLS) + 1) for names in combinations([p.name for p in PROTOCOLS], count)],
    ids=",".join,
)
def test_any_selection_can_be_mounted_without_overlaps(names: Sequence[str]) -> None:
    assert application(protocols=tuple(names))


def test_an_application_imports_no_protocol() -> None:
    code = (
        "from pathlib import Path; from runtime.frontends.application import Application;"
        "from runtime.service import Service; from runtime.settings import Settings; import sys;"
        "Application(Service(Settings(model_uri='/m.onnx'), process_started=0.0));"
        f"print(*({{'google.protobuf', 'runtime.protocols.open_inference', *{MODULES!r}}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_without_the_setting_all_protocols_are_selected_and_names_select_in_catalogue_order() -> None:
    assert catalogue.selected(None) == list(PROTOCOLS)
    names = [each.name for each in PROTOCOLS]
    assert [each.name for each in catalogue.selected(tuple(reversed(names)))] == names
    assert [each.name for each in catalogue.selected((names[0],))] == names[:1]


def test_an_unknown_name_is_refused_with_the_known_names() -> None:
    with pytest.raises(BadSetting, match=r"SCALEZERO_PROTOCOLS='v9': expected names of protocols: .*ml\.v1"):
        application(protocols=("ml.v1", "v9"))


ONE = Protocol("one", Rest("m", ("/a",), (Path("GET", "/a", "x"), Path("GET", "/b", "x"))))


def test_health_and_reflection_are_always_served() -> None:
    service = Grpc("m", "a.B", ("C",))
    found = [catalogue.grpc_services(each) for each in ([ONE], [ONE._replace(grpc=(service,))])]
    assert found == [[*catalogue.COMMON], [*catalogue.COMMON, service]]


@pytest.mark.parametrize(("names", "own"), [(None, True), (("open_inference",), True), (("ml.v1",), False)])
def test_a_protocol_owns_its_paths_only_if_it_is_selected(names: object, own: bool) -> None:  # noqa: FBT001
    request = Request("GET", "/v2/x", b"/v2/x", b"", [], "1.1")
    answer = application(protocols=names).refuse(UnknownPath("/v2/x"), request)
    error = orjson.loads(cast("bytes", answer.body))["error"]
    assert isinstance(error, str) is own  # a string in the Open Inference Protocol, an object otherwise
