"""Which endpoint answers a path: the first pattern that fits, a parameter being one segment."""

import pytest

from runtime.errors import MethodNotAllowed
from runtime.frontends.http import Request, Response
from runtime.frontends.routes import Routes


async def one(_: Request) -> Response:
    return Response(200, b"one")


async def other(_: Request) -> Response:
    return Response(200, b"other")


ROUTES = {
    "/models/{model}/predict": {"POST": one},
    "/models/{model}": {"GET": one, "DELETE": other},
    "/models/special": {"GET": other},
    "/a.b": {"GET": one},
}


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/models/m/predict", {"model": "m"}),
        ("/models/ä b/predict", {"model": "ä b"}),
        ("/models/special", {"model": "special"}),  # the first pattern wins
        ("/a.b", {}),
    ],
)
def test_a_path_that_fits_gives_its_parameters_however_often_it_is_asked(path: str, parameters: object) -> None:
    routes = Routes(ROUTES)
    for _ in range(2):
        match = routes.match(path)
        assert match
        assert match.parameters == parameters


@pytest.mark.parametrize(
    "path", ["/", "", "/models", "/models/", "/models/m/n/predict", "/models/m/predict/", "/aXb", "/a.b\n"]
)
def test_a_path_that_fits_no_pattern_has_no_match(path: str) -> None:
    assert Routes(ROUTES).match(path) is None


def test_the_method_chooses_and_head_is_a_get() -> None:
    match = Routes(ROUTES).match("/models/m")
    assert match
    assert match.endpoint("GET", "/models/m") is one
    assert match.endpoint("HEAD", "/models/m") is one
    assert match.endpoint("DELETE", "/models/m") is other
    with pytest.raises(MethodNotAllowed, match="/models/m does not take POST; it takes GET, DELETE, HEAD"):
        match.endpoint("POST", "/models/m")


def test_head_is_not_offered_where_there_is_no_get() -> None:
    match = Routes(ROUTES).match("/models/m/predict")
    assert match
    with pytest.raises(MethodNotAllowed) as refused:
        match.endpoint("HEAD", "/models/m/predict")
    assert refused.value.allowed == ("POST",)


def test_what_is_remembered_is_bounded() -> None:
    routes = Routes(ROUTES)
    for number in range(2000):
        match = routes.match(f"/models/{number}")
        assert match
        assert match.parameters == {"model": str(number)}
    assert len(routes._known) < 1000
