"""The attacks by name."""

import time
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from scripts.benchmarks.attacks import http2, http11
from scripts.benchmarks.attacks.aim import AttackTarget, Outcome, Prepare, Run
from scripts.benchmarks.attacks.bodies import BODIES
from scripts.benchmarks.attacks.protocols import GRPC, HOSTILE_REQUESTS, HostileRequest
from scripts.benchmarks.attacks.sending import body, request


class Attack(NamedTuple):
    """An attack: how to prepare it, the model that it needs, and how to judge the memory of the server."""

    prepare: Prepare
    whole_numbers: bool = False  # needs a model with integer inputs, not the payment model
    compares_memory: bool = False  # sends one whole body at a time, of the limit's size before or after inflating


def do_nothing(target: AttackTarget) -> Run:
    """Prepare the control: it sends nothing, so the probe measures the noise of the machine."""

    def run() -> Outcome:
        time.sleep(min(target.seconds, 2.0))
        return Counter({"nothing sent": 1})

    return run


def _prepare(hostile: HostileRequest) -> Prepare:
    return http2.over_http2(http2.whole_body(hostile)) if hostile.content_type == GRPC else request(hostile)


CONTROL: Final = "control"
ATTACKS: Final[Mapping[str, Attack]] = MappingProxyType(
    {
        CONTROL: Attack(do_nothing),
        **{name: Attack(body(name), whole_numbers=name == "integers", compares_memory=True) for name in BODIES},
        **{name: Attack(_prepare(hostile), compares_memory=True) for name, hostile in HOSTILE_REQUESTS.items()},
        "half_open": Attack(http11.half_open),
        "slow_bodies": Attack(http11.slow_bodies),
        "unread_answers": Attack(http11.unread_answers),
        "h2_window_updates": Attack(http2.over_http2(http2.window_updates)),
        "h2_rapid_resets": Attack(http2.over_http2(http2.rapid_resets)),
        "h2_unread_answers": Attack(http2.over_http2(http2.unread)),
        "h2_bodies": Attack(http2.over_http2(http2.bodies)),
    }
)
