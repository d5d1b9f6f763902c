"""How soon /healthz/live answers while a hostile client does its worst.

Each attack has a new server, so that no attack meets what another left. The figure is the longest wait of all; the
floor is the promise of 50 ms. `memory_times_body` is the largest peak of the server's resident memory, as a multiple of
the request's body; what the server holds when idle is included.

The probe runs on another core than the server, at a higher priority than the attack, and does not count the time for
which it was kept from its core. `control_ms` is the longest wait of a server that nobody attacks: the machine's noise.
"""

import tempfile
from functools import partial
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.attacks.aim import Aim
from scripts.benchmarks.attacks.every import ATTACKS, CONTROL
from scripts.benchmarks.attacks.running import Result, attacked
from scripts.benchmarks.client import check, first_right_answer
from scripts.benchmarks.figures import LIVE_UNDER_ATTACK_SECONDS, Figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.servers import running

LIMIT: Final = 32 * 2**20  # bytes; the default of SCALEZERO_MAX_BODY_BYTES
OPEN_FILES: Final = 1024  # Linux's default limit; a server may raise its own
ATTACK_SECONDS: Final = 8.0
MIB: Final = 2**20


def measure(lab: Lab) -> Figure:
    """Seconds. Each attack once, however many rounds are asked for; a disturbed one again."""
    results: dict[str, Result] = {}
    disturbed = 0
    for name in ATTACKS:
        results[name], noise = lab.guard.calmly(partial(under, lab, name))
        disturbed += noise.disturbed
        lab.say(line(name, results[name]))
    return summed_up(results, disturbed=disturbed)


def under(lab: Lab, name: str, *, limit: int = LIMIT, seconds: float = ATTACK_SECONDS) -> Result:
    """One attack against a new server."""
    subject = lab.counts if ATTACKS[name].whole_numbers else lab.payment
    with tempfile.TemporaryDirectory() as cache:
        environment = {**launches.BATCHING, "SCALEZERO_MAX_BODY_BYTES": str(limit)}
        launch = launches.limited(launches.ours(subject, str(subject.path), cache, environment), files=OPEN_FILES)
        with running(launch, cpu=lab.server_cpu) as server:
            first_right_answer(server, subject)
            check(server, subject)
            aim = Aim(port=server.port, path=launch.path, width=len(subject.rows[0]), limit=limit, seconds=seconds)
            return attacked(server, name, aim, cpu=lab.load_cpu)


def summed_up(results: dict[str, Result], *, disturbed: int, limit: int = LIMIT) -> Figure:
    """The figure of all attacks. `pairs` is their number, the control included."""
    longest = max(each.waits.longest for name, each in results.items() if name != CONTROL)
    extra = {
        "memory_times_body": max(each.peak for name, each in results.items() if ATTACKS[name].weighed) / limit,
        "control_ms": results[CONTROL].waits.longest * 1e3,
    }
    for name, each in results.items():
        extra |= {f"{name}.max_ms": each.waits.longest * 1e3, f"{name}.p99_ms": each.waits.p99 * 1e3}
        extra |= {f"{name}.peak_mib": each.peak / MIB}
        if ATTACKS[name].weighed:
            extra |= {f"{name}.memory_times_body": each.peak / limit}
    return Figure(
        name="live_under_attack",
        ours=longest,
        floor=LIVE_UNDER_ATTACK_SECONDS,
        ratio=longest / LIVE_UNDER_ATTACK_SECONDS,
        disturbed=disturbed,
        pairs=len(results),
        extra=extra,
    )


def line(name: str, result: Result) -> str:
    """Format one attack as a progress line."""
    waits = f"live after {result.waits.longest * 1e3:.1f} ms at most, {result.waits.p99 * 1e3:.1f} ms for 99 %"
    return f"  {name}: {waits}; {result.peak / MIB:.0f} MiB; {result.outcome}"
