"""The route table: the handler and the owner of a path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import MethodNotAllowed, ScalezeroError
from runtime.frontends.routes import ANY, ContentRoute, Owner, Route, Routes
from runtime.http.messages import Answer, Request


def refuse(_: ScalezeroError) -> Answer:
    return Answer(400)


SCALEZERO = Owner("ours", ("/models",), refuse)
V1 = Owner("v1", ("/v1",), refuse)
DEFAULT = Owner("default", (), refuse)
ROUTES = [
    Route("/models/{model}/predict", "POST", SCALEZERO, "predict"),
    Route("/models/{model}", "GET", SCALEZERO, "get"),
    Route("/models/{model}", "DELETE", SCALEZERO, "delete"),
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
def test_a_matching_path_has_a_handler_and_parameters_also_from_the_cache(
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
def test_an_unknown_path_has_no_match(path: str) -> None:
    assert table().match(path) is None


def test_the_method_selects_the_route_and_head_uses_get() -> None:
    match = table().match("/models/m")
    assert match
    assert [match.route(method, "/models/m").handler for method in ("GET", "HEAD", "DELETE")] == [
        "get",
        "get",
        "delete",
    ]
    with pytest.raises(MethodNotAllowed, match="/models/m does not accept POST; it accepts GET, DELETE, HEAD"):
        match.route("POST", "/models/m")


def test_head_is_not_allowed_without_get() -> None:
    match = table().match("/models/m/predict")
    assert match
    with pytest.raises(MethodNotAllowed) as refused:
        match.route("HEAD", "/models/m/predict")
    assert refused.value.allowed == ("POST",)


def test_the_cache_is_bounded_and_replaces_old_paths() -> None:
    routes = table()
    for number in range(2000):
        match = routes.match(f"/models/{number}")
        assert match
        assert match.parameters == {"model": str(number)}
    assert len(routes._cache) < 1000
    assert "/models/0" not in routes._cache


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
def test_routes_that_match_the_same_request_are_refused(one: str, other: str) -> None:
    with pytest.raises(ValueError, match="overlaps"):
        Routes([Route(one, "GET", SCALEZERO, 1), Route(other, "GET", V1, 2)], default=DEFAULT)


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
def test_routes_that_no_path_matches_both_are_allowed(one: str, other: str) -> None:
    assert Routes([Route(one, "GET", SCALEZERO, 1), Route(other, "GET", V1, 2)], default=DEFAULT)


SEGMENTS = st.lists(st.sampled_from(["a", "b", "{x}", "{x}:a", "{x}:b", "a-{x}"]), min_size=1, max_size=3)
REST = st.sampled_from([[], ["{x...}"]])
PATTERNS = st.builds(lambda segments, rest: [*segments, *rest], SEGMENTS, REST)
PATHS = st.lists(st.sampled_from(["a", "b", "a:a", "b:b", "a-c", "a-c:a", "A"]), min_size=1, max_size=4).map("/".join)


def _pattern(segments: list[str]) -> str:
    return "/" + "/".join(each.replace("{x", f"{{x{place}") for place, each in enumerate(segments))


@given(PATTERNS, PATTERNS, PATHS, st.booleans())
def test_a_path_never_matches_routes_of_two_protocols(
    one: list[str],
    other: list[str],
    path: str,
    ignore_case: bool,  # noqa: FBT001
) -> None:
    owners = [SCALEZERO._replace(ignore_case=ignore_case), V1]
    routes = [Route(_pattern(each), "GET", owner, 1) for each, owner in zip((one, other), owners, strict=True)]
    try:
        Routes(routes, default=DEFAULT)
    except ValueError:
        return
    if routes[0].pattern == routes[1].pattern:
        return
    assert not all(Routes([route], default=DEFAULT).match("/" + path) for route in routes)


@given(PATTERNS, PATTERNS, PATHS)
def test_the_order_of_the_list_does_not_affect_the_route(one: list[str], other: list[str], path: str) -> None:
    routes = [Route(_pattern(one), "GET", SCALEZERO, 1), Route(_pattern(other), "POST", SCALEZERO, 2)]
    try:
        tables = [Routes(each, default=DEFAULT) for each in (routes, routes[::-1])]
    except ValueError:
        return
    assert tables[0].match("/" + path) == tables[1].match("/" + path)


SERVED = [
    Route("/p/{model}", ANY, SCALEZERO, "any"),
    Route("/p/{model}", "OPTIONS", SCALEZERO, "options"),
    Route("/p/{model}/{version}", ANY, SCALEZERO, "version"),
    Route("/p/{model}/{version}/{rest...}", ANY, SCALEZERO, "more"),
    Route("/p/{model}/ready", "GET", SCALEZERO, "ready"),
    Route("/p/{model}:run", "POST", SCALEZERO, "run"),
]


@pytest.mark.parametrize(
    ("method", "path", "handler", "parameters"),
    [
        ("PUT", "/p/m", "any", {"model": "m"}),
        ("HEAD", "/p/m", "any", {"model": "m"}),
        ("OPTIONS", "/p/m", "options", {"model": "m"}),
        ("GET", "/p/m/2", "version", {"model": "m", "version": "2"}),
        ("GET", "/p/m/ready", "ready", {"model": "m"}),
        ("POST", "/p/m:run", "run", {"model": "m"}),
        ("GET", "/p/m/2/", "more", {"model": "m", "version": "2", "rest": ""}),
        ("GET", "/p/m/2/a", "more", {"model": "m", "version": "2", "rest": "a"}),
        ("GET", "/p/m/2/a//b", "more", {"model": "m", "version": "2", "rest": "a//b"}),
    ],
)
def test_the_more_specific_route_of_a_protocol_is_used(
    method: str, path: str, handler: str, parameters: object
) -> None:
    match = Routes(SERVED, default=DEFAULT).match(path)
    assert match
    assert match.route(method, path).handler == handler
    assert match.parameters == parameters


def test_the_more_specific_pattern_is_used_whatever_the_method() -> None:
    match = Routes(SERVED, default=DEFAULT).match("/p/m:run")
    assert match
    with pytest.raises(MethodNotAllowed, match="it accepts POST"):
        match.route("GET", "/p/m:run")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/a/{x}", "/a/{y}"),
        ("/a/{x}:b", "/a/b-{x}"),
        ("/a/{x...}", "/a/{y...}"),
    ],
)
def test_overlapping_patterns_of_equal_specificity_are_refused(one: str, other: str) -> None:
    with pytest.raises(ValueError, match="overlaps"):
        Routes([Route(one, "GET", SCALEZERO, 1), Route(other, "GET", SCALEZERO, 2)], default=DEFAULT)


@pytest.mark.parametrize(
    ("one", "other"),
    [("/a/{x...}", "/a/b"), ("/a/{x...}", "/a/b/{y}/c"), ("/a/{x...}", "/{y...}"), ("/{x}/b/{y...}", "/a/{x...}")],
)
def test_a_rest_overlaps_every_pattern_below_it(one: str, other: str) -> None:
    with pytest.raises(ValueError, match="overlaps"):
        Routes([Route(one, "GET", SCALEZERO, 1), Route(other, "POST", V1, 2)], default=DEFAULT)


FOLDED = Owner("folded", ("/w1",), refuse, ignore_case=True)


@pytest.mark.parametrize(
    ("path", "model"),
    [("/W1/Models/Ab:PREDICT", "Ab"), ("/w1/models/İ:predict", "İ"), ("/w1/models/a b:Predict", "a b")],
)
def test_case_insensitive_patterns_keep_the_case_of_parameters(path: str, model: str) -> None:
    routes = Routes([Route("/w1/models/{model}:predict", "POST", FOLDED, 1)], default=DEFAULT)
    match = routes.match(path)
    assert match
    assert match.parameters == {"model": model}
    assert routes.prefix_owner("/W1/x") == FOLDED


def test_case_insensitive_patterns_overlap_in_another_case() -> None:
    with pytest.raises(ValueError, match="overlaps"):
        Routes([Route("/W1/{x}", "GET", SCALEZERO, 1), Route("/w1/a", "GET", FOLDED, 2)], default=DEFAULT)


def test_a_generic_route_has_the_lowest_priority_and_never_matches_below_an_owned_prefix() -> None:
    generic = [Route("/{model}/predict", "POST", DEFAULT, "generic"), Route("/models/{model}", "PUT", DEFAULT, "put")]
    routes = Routes(ROUTES, default=DEFAULT, generic=generic)
    taken = {path: routes.match(path) for path in ("/m/predict", "/models/predict", "/v1/predict")}
    assert {path: match and [*match.routes] for path, match in taken.items()} == {
        "/m/predict": ["POST"],
        "/models/predict": ["GET", "DELETE"],
        "/v1/predict": None,
    }


def test_a_replaced_handler_is_replaced_in_cached_matches() -> None:
    old, new, other = object(), object(), object()
    own = [Route("/a/{x}", "GET", SCALEZERO, old), Route("/c", "GET", SCALEZERO, other)]
    routes = Routes(own, default=DEFAULT, generic=[Route("/b", "GET", V1, old)])
    matches = [routes.match(path) for path in ("/a/1", "/b", "/c")]
    routes.replace({old: new})
    assert [match and match.route("GET", "").handler for match in matches] == [new, new, other]


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("/models/m", SCALEZERO),
        ("/models/m/unknown", SCALEZERO),
        ("/models", SCALEZERO),
        ("/modelsX", DEFAULT),
        ("/v1/anything/else", V1),
        ("/a.b", DEFAULT),
        ("/", DEFAULT),
    ],
)
def test_the_owner_of_a_prefix_answers_every_error_below_it(path: str, owner: Owner) -> None:
    assert table().owner(request(path)) == owner


BY_CONTENT = Owner("calls", (), refuse)
CALLS = ContentRoute((b"application/call", b"application/call+x"), frozenset({"2"}), BY_CONTENT, "call")


@pytest.mark.parametrize("path", ["/models/m", "/v1/anything", "/unknown"])
@pytest.mark.parametrize("kind", [b"application/call", b"application/call+x", b"application/call;a=b"])
def test_a_content_type_has_priority_over_the_path(path: str, kind: bytes) -> None:
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
def test_with_another_content_type_or_version_the_path_selects_the_route(kind: bytes | None, version: str) -> None:
    routes = Routes(ROUTES, default=DEFAULT, by_content=[CALLS])
    called = request("/v1/models/m", kind, version=version)
    assert routes.by_content(called) is None
    assert routes.owner(called) == V1


def test_a_path_may_select_the_owner_of_the_errors_of_a_content_type() -> None:
    routes = Routes(ROUTES, default=DEFAULT, by_content=[CALLS._replace(owners={"/a.B": V1})])
    owners = [routes.owner(request(path, b"application/call", version="2")) for path in ("/a.B/C", "/a.C/C")]
    assert owners == [V1, BY_CONTENT]


def test_content_routes_that_match_the_same_request_are_refused() -> None:
    other = ContentRoute((b"application/call",), frozenset({"1.1", "2"}), V1, "other")
    with pytest.raises(ValueError, match="in common"):
        Routes(ROUTES, default=DEFAULT, by_content=[CALLS, other])


def request(path: str, content_type: bytes | None = None, *, version: str = "1.1") -> Request:
    headers = [] if content_type is None else [(b"content-type", content_type)]
    return Request("POST", path, path.encode(), b"", headers, version)


def test_a_match_has_the_generic_flag_and_the_allowed_methods() -> None:
    routes = Routes([Route("/a", "GET", SCALEZERO, 1)], default=DEFAULT, generic=[Route("/", "GET", DEFAULT, 2)])
    own, generic = routes.match("/a"), routes.match("/")
    assert own is not None
    assert generic is not None
    assert (own.generic, generic.generic) == (False, True)
    assert [generic.allows(method) for method in ("GET", "HEAD", "POST")] == [True, True, False]


EVENTS = Route("/", "POST", SCALEZERO, "event")


def event(*varying: tuple[bytes, bytes]) -> Request:
    """Return a request to `/` with these headers, which differ in each request with its memo."""
    head = Request("POST", "/", b"/", b"", [], "1.1")
    head.memo = {}
    return head.with_body(b"", [*varying])


def test_requests_that_share_a_memo_share_what_is_found() -> None:
    routes = table()
    first = request("/models/m/predict")
    first.memo = {}
    found = routes.find(first)
    assert found == (None, routes.match("/models/m/predict"))
    assert routes.find(first.with_body(b"another")) is found


def test_a_replaced_handler_is_found_by_requests_that_share_a_memo() -> None:
    routes = Routes(ROUTES, default=DEFAULT, events=[EVENTS])
    first = Request("POST", "/", b"/", b"", [(b"ce-id", b"1")], "1.1")
    first.memo = {}
    handlers = []
    for _ in range(2):
        route, _ = routes.find(first.with_body(b""))
        assert route
        handlers.append(route.handler)
        routes.replace({"event": "imported"})
    assert handlers == ["event", "imported"]


def test_a_header_that_varies_can_make_a_request_an_event() -> None:
    routes = Routes(ROUTES, default=DEFAULT, events=[EVENTS])
    one = event((b"ce-id", b"1"))
    other = event((b"traceparent", b"00-1-2-01"))
    other.memo = one.memo
    for _ in range(2):
        assert routes.find(one)[0] is not None
        assert routes.find(other) == (None, None)
