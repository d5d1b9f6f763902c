"""The latency of /healthz/live during the attacks of a hostile client.

Each attack gets a new server, so that attacks do not affect each other. The figure is the longest wait of all attacks;
the floor is the target of 50 ms. `memory_times_body` is the largest peak of the server's resident memory, as a multiple
of the request body. It includes the memory of the idle server.

The probe runs on a different core than the server, with a higher priority than the attack. It does not count the time
for which it waited for its core. `control_ms` is the longest wait without an attack: the noise of the machine.
"""

import tempfile
from functools import partial
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.attacks.aim import AttackTarget
from scripts.benchmarks.attacks.every import ATTACKS, CONTROL
from scripts.benchmarks.attacks.running import Result, run_attack
from scripts.benchmarks.client import check_answers, wait_for_first_answer
from scripts.benchmarks.figures import LIVE_UNDER_ATTACK_SECONDS, Figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.servers import running

LIMIT: Final = 32 * 2**20  # bytes; the default of SCALEZERO_MAX_BODY_BYTES
OPEN_FILES: Final = 1024  # Linux's default limit; a server may raise its own
ATTACK_SECONDS: Final = 8.0
MIB: Final = 2**20


def measure(lab: Lab) -> Figure:
    """Measure seconds. Each attack runs once, independent of the rounds, or again if it was disturbed."""
    results: dict[str, Result] = {}
    disturbed = 0
    for name in ATTACKS:
        results[name], noise = lab.guard.least_disturbed(partial(measure_attack, lab, name))
        disturbed += noise.disturbed
        lab.log(progress_line(name, results[name]))
    return summarize(results, disturbed=disturbed)


def measure_attack(lab: Lab, name: str, *, limit: int = LIMIT, seconds: float = ATTACK_SECONDS) -> Result:
    """Run one attack against a new server."""
    subject = lab.counts if ATTACKS[name].whole_numbers else lab.payment
    with tempfile.TemporaryDirectory() as cache:
        environment = {**launches.BATCHING, "SCALEZERO_MAX_BODY_BYTES": str(limit)}
        launch = launches.limited(launches.ours(subject, str(subject.path), cache, environment), files=OPEN_FILES)
        with running(launch, cpu=lab.server_cpu) as server:
            wait_for_first_answer(server, subject)
            check_answers(server, subject)
            target = AttackTarget(
                port=server.port, path=launch.path, width=len(subject.rows[0]), limit=limit, seconds=seconds
            )
            return run_attack(server, name, target, cpu=lab.load_cpu)


def summarize(results: dict[str, Result], *, disturbed: int, limit: int = LIMIT) -> Figure:
    """Return the figure of all attacks. `pairs` is their number, including the control."""
    longest = max(each.waits.longest for name, each in results.items() if name != CONTROL)
    extra = {
        "memory_times_body": max(each.peak for name, each in results.items() if ATTACKS[name].compares_memory) / limit,
        "control_ms": results[CONTROL].waits.longest * 1e3,
    }
    for name, each in results.items():
        extra |= {f"{name}.max_ms": each.waits.longest * 1e3, f"{name}.p99_ms": each.waits.p99 * 1e3}
        extra |= {f"{name}.peak_mib": each.peak / MIB}
        if ATTACKS[name].compares_memory:
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


def progress_line(name: str, result: Result) -> str:
    """Format the result of one attack as a progress line."""
    waits = f"live within {result.waits.longest * 1e3:.1f} ms (maximum), {result.waits.p99 * 1e3:.1f} ms (99 %)"
    return f"  {name}: {waits}; {result.peak / MIB:.0f} MiB; {result.outcome}"
