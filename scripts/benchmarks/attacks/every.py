"""The attacks by name."""

import time
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from scripts.benchmarks.attacks import http2, http11
from scripts.benchmarks.attacks.aim import Aim, Outcome, Prepare, Run
from scripts.benchmarks.attacks.bodies import BODIES
from scripts.benchmarks.attacks.protocols import GRPC, HOSTILE, Hostile
from scripts.benchmarks.attacks.sending import body, request


class Attack(NamedTuple):
    """How it is prepared, which model it needs, and whether the server's memory is compared with its body."""

    prepare: Prepare
    whole_numbers: bool = False  # it needs a model that takes integers, not the payment model
    weighed: bool = False  # it sends one whole body at a time, as large as the limit, inflated or not


def nothing(aim: Aim) -> Run:
    """The control: nothing happens, so that the probe measures the machine's noise."""

    def run() -> Outcome:
        time.sleep(min(aim.seconds, 2.0))
        return Counter({"nothing": 1})

    return run


def _of(hostile: Hostile) -> Prepare:
    return http2.over_http2(http2.whole(hostile)) if hostile.content_type == GRPC else request(hostile)


CONTROL: Final = "control"
ATTACKS: Final[Mapping[str, Attack]] = MappingProxyType(
    {
        CONTROL: Attack(nothing),
        **{name: Attack(body(name), whole_numbers=name == "integers", weighed=True) for name in BODIES},
        **{name: Attack(_of(hostile), weighed=True) for name, hostile in HOSTILE.items()},
        "half_open": Attack(http11.half_open),
        "slow_bodies": Attack(http11.slow_bodies),
        "unread_answers": Attack(http11.unread_answers),
        "h2_window_updates": Attack(http2.over_http2(http2.window_updates)),
        "h2_rapid_resets": Attack(http2.over_http2(http2.rapid_resets)),
        "h2_unread_answers": Attack(http2.over_http2(http2.unread)),
        "h2_bodies": Attack(http2.over_http2(http2.bodies)),
    }
)
