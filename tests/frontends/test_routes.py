"""Which handler answers a path, and which protocol answers for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import MethodNotAllowed, ScalezeroError
from runtime.frontends.routes import ContentRoute, Owner, Route, Routes
from runtime.http.messages import Answer, Request


def refuse(_: ScalezeroError) -> Answer:
    return Answer(400)


OURS = Owner("ours", ("/models",), refuse)
V1 = Owner("v1", ("/v1",), refuse)
DEFAULT = Owner("default", (), refuse)
ROUTES = [
    Route("/models/{model}/predict", "POST", OURS, "predict"),
    Route("/models/{model}", "GET", OURS, "get"),
    Route("/models/{model}", "DELETE", OURS, "delete"),
    Route("/v1/models/{model}:predict", "POST", V1, "v1 predict"),
    Route("/v1/models/{model}:classify", "POST", V1, "v1 classify"),
    Route("/v1/models/{model}", "GET", V1, "v1 get"),
    Route("/a.b", "GET", DEFAULT, "dotted"),
]


def table(*more: Route) -> Routes:
    return Routes([*ROUTES, *more], default=DEFAULT)


@pytest.mark.parametrize(
    ("path", "method", "handler", "parameters"),
    [
        ("/models/m/predict", "POST", "predict", {"model": "m"}),
        ("/models/ä b/predict", "POST", "predict", {"model": "ä b"}),
        ("/v1/models/m:predict", "POST", "v1 predict", {"model": "m"}),
        ("/v1/models/a:b:classify", "POST", "v1 classify", {"model": "a:b"}),
        ("/a.b", "GET", "dotted", {}),
    ],
)
def test_a_path_that_fits_gives_its_handler_and_parameters_however_often_it_is_asked(
    path: str, method: str, handler: str, parameters: object
) -> None:
    routes = table()
    for _ in range(2):
        match = routes.match(path)
        assert match
        assert match.parameters == parameters
        assert match.route(method, path).handler == handler


@pytest.mark.parametrize(
    "path", ["/", "", "/models", "/models/", "/models/m/n/predict", "/models/m/predict/", "/aXb", "/a.b\n"]
)
def test_a_path_that_fits_no_pattern_has_no_match(path: str) -> None:
    assert table().match(path) is None


def test_the_method_chooses_and_head_is_a_get() -> None:
    match = table().match("/models/m")
    assert match
    assert [match.route(method, "/models/m").handler for method in ("GET", "HEAD", "DELETE")] == [
        "get",
        "get",
        "delete",
    ]
    with pytest.raises(MethodNotAllowed, match="/models/m does not take POST; it takes GET, DELETE, HEAD"):
        match.route("POST", "/models/m")


def test_head_is_not_offered_where_there_is_no_get() -> None:
    match = table().match("/models/m/predict")
    assert match
    with pytest.raises(MethodNotAllowed) as refused:
        match.route("HEAD", "/models/m/predict")
    assert refused.value.allowed == ("POST",)


def test_what_is_remembered_is_bounded_and_keeps_no_path_for_good() -> None:
    routes = table()
    for number in range(2000):
        match = routes.match(f"/models/{number}")
        assert match
        assert match.parameters == {"model": str(number)}
    assert len(routes._known) < 1000
    assert "/models/0" not in routes._known


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/models/{model}", "/models/{name}"),
        ("/models/{model}", "/models/special"),
        ("/{any}/x", "/models/{model}"),
        ("/v1/{m}:predict", "/v1/{m}"),
        ("/v1/{m}:a:predict", "/v1/{m}:predict"),
        ("/x", "/x"),
    ],
)
def test_routes_that_could_answer_one_request_are_refused(one: str, other: str) -> None:
    with pytest.raises(ValueError, match="overlaps"):
        Routes([Route(one, "GET", OURS, 1), Route(other, "GET", V1, 2)], default=DEFAULT)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/models/{model}", "/models/{model}/predict"),
        ("/models/{model}", "/models"),
        ("/v1/{m}:predict", "/v1/{m}:classify"),
        ("/v1/a-{m}", "/v1/b-{m}"),
        ("/x", "/y"),
    ],
)
def test_routes_that_no_path_fits_both_of_stand_beside_each_other(one: str, other: str) -> None:
    assert Routes([Route(one, "GET", OURS, 1), Route(other, "GET", V1, 2)], default=DEFAULT)


SEGMENTS = st.lists(st.sampled_from(["a", "b", "{x}", "{x}:a", "{x}:b", "a-{x}"]), min_size=1, max_size=3)


@given(SEGMENTS, SEGMENTS, st.lists(st.sampled_from(["a", "b", "a:a", "b:b", "a-c", "a-c:a"]), min_size=1, max_size=3))
def test_a_path_never_fits_two_routes(one: list[str], other: list[str], path: list[str]) -> None:
    patterns = ["/" + "/".join(segments).replace("{x}", "{x%d}") for segments in (one, other)]
    patterns = [_named(each) for each in patterns]
    try:
        Routes([Route(each, "GET", OURS, each) for each in patterns], default=DEFAULT)
    except ValueError:
        return
    fitting = [
        each for each in patterns if Routes([Route(each, "GET", OURS, 1)], default=DEFAULT).match("/" + "/".join(path))
    ]
    assert len(fitting) < 2


def _named(pattern: str) -> str:
    return pattern % tuple(range(pattern.count("%d"))) if "%d" in pattern else pattern


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("/models/m", OURS),
        ("/models/m/unknown", OURS),
        ("/models", OURS),
        ("/modelsX", DEFAULT),
        ("/v1/anything/else", V1),
        ("/a.b", DEFAULT),
        ("/", DEFAULT),
    ],
)
def test_who_owns_the_prefix_answers_every_error_below_it(path: str, owner: Owner) -> None:
    assert table().owner(request(path)) == owner


BY_CONTENT = Owner("calls", (), refuse)
CALLS = ContentRoute((b"application/call", b"application/call+x"), frozenset({"2"}), BY_CONTENT, "call")


@pytest.mark.parametrize("path", ["/models/m", "/v1/anything", "/unknown"])
@pytest.mark.parametrize("kind", [b"application/call", b"application/call+x", b"application/call;a=b"])
def test_a_content_type_decides_before_any_path(path: str, kind: bytes) -> None:
    routes = Routes(ROUTES, default=DEFAULT, by_content=[CALLS])
    called = request(path, kind, version="2")
    assert routes.by_content(called) == CALLS
    assert routes.owner(called) == BY_CONTENT


@pytest.mark.parametrize(
    ("kind", "version"),
    [
        (None, "2"),
        (b"", "2"),
        (b"application/json", "2"),
        (b"application/callX", "2"),
        (b"application/call+y", "2"),
        (b"application/call", "1.1"),
    ],
)
def test_another_content_type_or_version_leaves_the_path_to_decide(kind: bytes | None, version: str) -> None:
    routes = Routes(ROUTES, default=DEFAULT, by_content=[CALLS])
    called = request("/v1/models/m", kind, version=version)
    assert routes.by_content(called) is None
    assert routes.owner(called) == V1


def test_two_content_routes_that_could_answer_one_request_are_refused() -> None:
    other = ContentRoute((b"application/call",), frozenset({"1.1", "2"}), V1, "other")
    with pytest.raises(ValueError, match="in common"):
        Routes(ROUTES, default=DEFAULT, by_content=[CALLS, other])


def request(path: str, content_type: bytes | None = None, *, version: str = "1.1") -> Request:
    headers = [] if content_type is None else [(b"content-type", content_type)]
    return Request("POST", path, path.encode(), b"", headers, version)
