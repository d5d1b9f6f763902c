"""What a status means, as Knative's delivery has it, and how long a failure pauses the log."""

import pytest

from runtime.prediction_log.delivery import DeliveryResult, pause, result_of


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((200, 202, 204, 299), DeliveryResult.DELIVERED),
        ((404, 408, 409, 429, 500, 502, 503, 504, 599), DeliveryResult.RETRY),
        ((301, 307, 400, 401, 403, 413, 415, 422), DeliveryResult.REJECTED),
    ],
)
def test_statuses_are_retried_as_knative_retries_them(statuses: tuple[int, ...], expected: DeliveryResult) -> None:
    assert {result_of(each) for each in statuses} == {expected}


def test_pauses_grow_to_half_a_minute() -> None:
    pauses = [pause(failures) for failures in range(1, 40)]
    assert 0.1 <= pauses[0] <= 0.12
    assert 0.2 <= pauses[1] <= 0.24
    assert all(30 <= each <= 36 for each in pauses[9:])


@pytest.mark.parametrize(("header", "least"), [("2", 2), ("0", 0.1), ("600", 30), ("soon", 0.1), ("", 0.1), ("²", 0.1)])
def test_retry_after_makes_a_pause_longer_within_the_limit(header: str, least: float) -> None:
    assert least <= pause(1, header) <= least * 1.2
