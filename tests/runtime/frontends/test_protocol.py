"""The description of a protocol."""

import pytest

from runtime.frontends.protocol import Path, Protocol, Rest, served_paths

ONE = Protocol("one", Rest("m", ("/a",), (Path("GET", "/a", "x"), Path("GET", "/b", "x"))))
OTHER = Protocol("other", Rest("m", ("/a",), (Path("GET", "/a", "x"), Path("POST", "/a", "x"))), yields_to=("one",))


@pytest.mark.parametrize(("beside", "count"), [([], 2), ([ONE], 1), ([ONE._replace(name="third")], 2)])
def test_a_protocol_yields_only_paths_that_both_protocols_declare(beside: list[Protocol], count: int) -> None:
    assert OTHER.rest
    assert len(served_paths(OTHER, OTHER.rest.paths, [*beside, OTHER])) == count
