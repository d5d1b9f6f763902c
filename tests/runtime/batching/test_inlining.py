"""A run happens on the loop if no axis is longer than in a short run."""

from hypothesis import given
from hypothesis import strategies as st

from runtime.batching.inlining import Inlining, Shapes

QUICK, SLOW = 0.0002, 0.01
ONE: Shapes = ((4, 8),)
shapes = st.tuples(st.tuples(st.integers(1, 50), st.integers(1, 50)))
rows = st.integers(1, 50)


def learned(*runs: tuple[int, Shapes, float]) -> Inlining:
    inlining = Inlining(allowed=True)
    for run in runs:
        inlining.learn(*run)
    return inlining


def test_an_unknown_shape_does_not_run_on_the_loop() -> None:
    assert not learned().fits(1, None)


def test_fewer_rows_run_on_the_loop_and_more_do_not() -> None:
    quick = learned((8, None, QUICK))
    assert [quick.fits(count, None) for count in (1, 8, 9)] == [True, True, False]


def test_a_longer_axis_does_not_run_on_the_loop_even_with_few_rows() -> None:
    quick = learned((100, ONE, QUICK))
    assert quick.fits(1, ((4, 7),))
    assert not quick.fits(1, ((4, 9),))
    assert not quick.fits(1, ((4,),))
    assert not quick.fits(1, ((4, 8), (1,)))


def test_after_a_slow_run_its_shape_and_all_larger_ones_run_on_the_worker() -> None:
    inlining = learned((8, ONE, QUICK), (8, ((2, 2),), QUICK), (4, ((3, 8),), SLOW))
    assert not inlining.fits(4, ((3, 8),))
    assert not inlining.fits(4, ONE)
    assert inlining.fits(3, ONE)
    assert inlining.fits(8, ((2, 2),))


def test_a_model_whose_cost_depends_on_values_never_runs_on_the_loop() -> None:
    inlining = Inlining(allowed=False)
    inlining.learn(1, None, QUICK)
    assert not inlining.fits(1, None)


def test_the_number_of_remembered_shapes_is_limited() -> None:
    inlining = learned(*((1, ((size, 1000 - size),), QUICK) for size in range(1000)))
    assert len(inlining._quick) <= 64
    assert inlining.fits(1, ((999, 1),))


@given(runs=st.lists(st.tuples(rows, shapes, st.sampled_from([QUICK, SLOW])), max_size=20), count=rows, shape=shapes)
def test_a_shape_on_the_loop_is_within_a_short_run_in_every_axis(
    runs: list[tuple[int, Shapes, float]], count: int, shape: Shapes
) -> None:
    if learned(*runs).fits(count, shape):
        assert shape is not None
        assert any(
            seconds == QUICK and count <= seen and all(a <= b for a, b in zip(shape[0], other[0], strict=True))
            for seen, other, seconds in runs
            if other is not None
        )
