"""A handle is a number that a guest can make up; a closed one is never valid again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.wasi_nn import tables
from runtime.wasi_nn.faults import Code, NnError
from runtime.wasi_nn.tables import Budget, Table


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12))))
def test_a_handle_finds_its_value_until_it_is_closed(steps: list[tuple[bool, int]]) -> None:
    table: Table[int] = Table("values", limit=100)
    open_handles: dict[int, int] = {}
    ever: set[int] = set()
    for value, (adds, handle) in enumerate(steps):
        if adds:
            added = table.add(value)
            assert added not in ever
            ever.add(added)
            open_handles[added] = value
        elif handle in open_handles:
            assert table.get(handle) == open_handles[handle]
            assert table.remove(handle) == open_handles.pop(handle)
        else:
            for use in (table.get, table.remove):
                with pytest.raises(NnError) as caught:
                    use(handle)
                assert caught.value.code is Code.INVALID_ARGUMENT
    assert dict(table) == open_handles
    assert len(table) == len(open_handles)


def test_handles_start_at_zero() -> None:
    table: Table[str] = Table("values", limit=2)
    assert [table.add("a"), table.add("b")] == [0, 1]


def test_a_full_table_accepts_a_value_after_another_is_closed() -> None:
    table: Table[str] = Table("values", limit=1)
    table.add("a")
    with pytest.raises(NnError, match="holds 1 of values; expected at most 1") as caught:
        table.add("b")
    assert caught.value.code is Code.TOO_LARGE
    table.remove(0)
    assert table.add("b") == 1


def test_no_handle_is_reused_after_the_last_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_LAST", 1)
    table: Table[str] = Table("values", limit=5)
    for _ in range(2):
        table.remove(table.add("a"))
    with pytest.raises(NnError):
        table.add("a")


def test_the_handles_of_a_cleared_table_stay_invalid() -> None:
    table: Table[str] = Table("values", limit=1)
    table.add("a")
    table.clear()
    with pytest.raises(NnError):
        table.get(0)
    assert table.add("b") == 1


def test_a_budget_counts_what_is_held() -> None:
    budget = Budget(10)
    budget.take(6)
    with pytest.raises(NnError, match="got 11 bytes; expected at most 10 in all") as caught:
        budget.take(5)
    assert (caught.value.code, budget.held) == (Code.TOO_LARGE, 6)
    budget.give(6)
    budget.take(10)
