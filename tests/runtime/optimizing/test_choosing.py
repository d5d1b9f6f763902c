"""Tests of the choice."""

import pytest

from runtime.optimizing.candidates import Candidate
from runtime.optimizing.choosing import NO_DATA, Speed, Standard, Trial, choose, measurement, rejection
from runtime.optimizing.timing import Ratio
from runtime.variants.bounds import Bounds
from runtime.variants.values import CPU_PROVIDER, OPENVINO_PROVIDER, ORIGINAL, Cost

JUDGED = Standard("accuracy", 0.97, 32, Bounds())
WITHOUT_DATA = Standard(None, None, 32, Bounds())


def trial(
    name: str = "int8-nncf",
    *,
    full: tuple[float, float, float] = (2.0, 1.9, 2.1),
    one: tuple[float, float, float] = (1.5, 1.4, 1.6),
    score: float | None = 0.97,
    provider: str = CPU_PROVIDER,
) -> Trial:
    speed = Speed(0.01, 0.1, Ratio(*one), Ratio(*full), Cost(fixed=0.0, per_row=0.003))
    return Trial(Candidate(name, provider, "int8", "int8-nncf"), speed=speed, score=score)


def test_the_fastest_within_the_bounds_is_chosen_with_the_reason() -> None:
    slower, faster = trial("int8-dynamic"), trial(full=(3.0, 2.9, 3.1), score=0.965)
    choice = choose([slower, faster], JUDGED)
    assert choice.name == "int8-nncf"
    assert choice.reason == (
        "3.00 x as fast as the original with 32 rows; "
        "accuracy 0.9650 instead of 0.9700, a loss of 0.0050 of at most 0.01"
    )


def test_of_equally_fast_candidates_the_most_accurate_is_chosen() -> None:
    choice = choose([trial("a", full=(2.05, 2.0, 2.1), score=0.965), trial("b", score=0.969)], JUDGED)
    assert choice.name == "b"


def test_of_equal_candidates_that_on_the_cpu_provider_is_chosen() -> None:
    assert choose([trial("a", provider=OPENVINO_PROVIDER), trial("b")], JUDGED).name == "b"


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (trial(score=0.95), "its accuracy is 0.9500 instead of 0.9700: more than 0.01 less"),
        (
            trial(full=(1.05, 1.0, 1.2)),
            "with 32 rows it is 1.05 x as fast as the original; needed: 1.1 x",
        ),
        (
            trial(full=(1.2, 1.0, 1.4)),
            (
                "with 32 rows it is 1.20 x as fast as the original, but in a quarter of the pairs only 1.00 x; "
                "needed: 1.1 x"
            ),
        ),
        (trial(one=(0.8, 0.7, 0.9)), "with 1 row it is slower than the original: 0.80 x as fast"),
        (Trial(Candidate("x", CPU_PROVIDER, "int8", None), failure="no operator"), "no operator"),
        (Trial(Candidate("x", CPU_PROVIDER, "int8", None)), "it was not measured"),
    ],
)
def test_each_rejection_has_its_reason(candidate: Trial, reason: str) -> None:
    assert rejection(candidate, JUDGED) == reason
    assert choose([candidate], JUDGED).name == ORIGINAL


def test_a_better_score_is_no_loss() -> None:
    assert rejection(trial(score=0.99), JUDGED) is None
    assert "a loss of 0.0000" in choose([trial(score=0.99)], JUDGED).reason


def test_without_data_the_original_stays() -> None:
    candidate = trial(score=None)
    assert rejection(candidate, WITHOUT_DATA) == NO_DATA
    choice = choose([candidate], WITHOUT_DATA)
    assert choice.name == ORIGINAL
    assert "cannot be judged" in choice.reason


def test_without_data_the_fastest_is_chosen_if_that_is_accepted() -> None:
    standard = WITHOUT_DATA._replace(bounds=Bounds(accept_unjudged=True))
    choice = choose([trial(score=None)], standard)
    assert choice.name == "int8-nncf"
    assert "not judged, which was accepted" in choice.reason


def test_the_reason_for_the_original_names_the_fastest_candidate_and_its_rejection() -> None:
    choice = choose([trial("slow", full=(0.5, 0.4, 0.6)), trial("wrong", score=0.5)], JUDGED)
    assert choice.reason == (
        "no candidate is faster within the bounds; the fastest is wrong: its accuracy is 0.5000 instead of 0.9700: "
        "more than 0.01 less"
    )


def test_without_any_measured_candidate_the_reason_says_so() -> None:
    failed = [
        Trial(Candidate(name, CPU_PROVIDER, "int8", name), failure="no operator")
        for name in ("int8-dynamic", "int8-nncf")
    ]
    assert choose(failed, JUDGED).reason == "no candidate could be made and run: no operator"
    other = Trial(failed[0].candidate, failure="out of memory")
    assert choose([other, failed[1]], JUDGED).reason == "no candidate could be made and run"


def test_the_agreement_is_compared_with_1() -> None:
    choice = choose([trial(score=0.995)], Standard("agreement", 1.0, 8, Bounds()))
    assert choice.reason == (
        "2.00 x as fast as the original with 8 rows; agreement 0.9950, a loss of 0.0050 of at most 0.01"
    )


def test_a_measurement_records_speed_score_loss_and_rejection() -> None:
    found = measurement(trial(score=0.95), JUDGED)
    assert (found.one_row, found.full_batch, found.speedup, found.score) == (0.01, 0.1, 2.0, 0.95)
    assert found.loss == pytest.approx(0.02)
    assert found.rejected is not None


def test_a_failed_candidate_is_recorded_with_its_reason_only() -> None:
    found = measurement(Trial(Candidate("x", CPU_PROVIDER, "int8", None), failure="no operator"), JUDGED)
    assert (found.one_row, found.speedup, found.score, found.rejected) == (None, None, None, "no operator")


def test_one_row_is_singular() -> None:
    standard = Standard("agreement", 1.0, 1, Bounds())
    assert "with 1 row;" in choose([trial()._replace(score=1.0)], standard).reason
