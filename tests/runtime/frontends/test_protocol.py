"""How a protocol is described."""

import pytest

from runtime.frontends.protocol import Path, Protocol, Rest, left_to

ONE = Protocol("one", Rest("m", ("/a",), (Path("GET", "/a", "x"), Path("GET", "/b", "x"))))
OTHER = Protocol("other", Rest("m", ("/a",), (Path("GET", "/a", "x"), Path("POST", "/a", "x"))), yields_to=("one",))


@pytest.mark.parametrize(("beside", "left"), [([], 2), ([ONE], 1), ([ONE._replace(name="third")], 2)])
def test_a_protocol_leaves_to_another_one_only_what_both_declare(beside: list[Protocol], left: int) -> None:
    assert OTHER.rest
    assert len(left_to(OTHER, OTHER.rest.paths, [*beside, OTHER])) == left
