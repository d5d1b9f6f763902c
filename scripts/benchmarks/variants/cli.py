"""The command scripts/bench variants."""

import os
from collections.abc import Callable
from typing import Any, Final

import click

from runtime.errors import ProviderUnavailable, ScalezeroError
from runtime.model import providers
from runtime.variants.cpu_class import cpu_class
from runtime.variants.values import OPENVINO_PROVIDER, Assessment
from scripts.benchmarks.cli import FAULTS, Options, with_options
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.variants import chosen
from scripts.benchmarks.variants.results import NAMES, NO_DEVICE, Result, Target, document, table, target_of

_OPTIMIZED: Final = {"resnet50": chosen.resnet50, "minilm": chosen.minilm, "digits_loss": chosen.digits}


@click.command(epilog=f"NAMES: {', '.join(NAMES)} (default: all).")
@click.argument("names", nargs=-1, type=click.Choice(NAMES), metavar="[NAMES]...")
@with_options
def main(names: tuple[str, ...], **given: Any) -> None:  # noqa: ANN401 - each option has its own type
    """Measure the variants that are chosen on this machine. All figures take about five minutes on a quiet machine.

    A figure that needs an OpenVINO device is not measurable without one, and says so. The exit code is 1 only if a
    figure could not be measured for another reason.
    """
    options = Options(**given)
    wanted = [each for each in NAMES if each in (names or NAMES)]
    problem = openvino_problem()
    results: list[Result] = []
    failed: list[str] = []
    everywhere = os.sched_getaffinity(0)
    with options.lab(patience=options.patience) as lab:
        for name in wanted:
            lab.log(f"{name} ...")
            try:
                results.append(_result(name, lab, problem, lambda: os.sched_setaffinity(0, everywhere)))
            except (*FAULTS, ScalezeroError) as error:
                failed.append(f"{name}: {error}")
                lab.log(failed[-1])
    options.write_result(table(results), document(results), failed)


def openvino_problem() -> str | None:
    """Return why OpenVINO cannot be used on this machine; None: it can."""
    try:
        providers.devices(OPENVINO_PROVIDER)
    except ProviderUnavailable as error:
        return str(error)
    return None


def _result(name: str, lab: Lab, problem: str | None, release: Callable[[], None]) -> Result:
    target = target_of(name, openvino=problem is None, cpu_class=cpu_class())
    if name in _OPTIMIZED:
        release()  # the files are made on all cores
        return _of_assessment(name, _OPTIMIZED[name](lab.log), target, problem)
    if problem is not None:
        return Result(name, "difference", None, None, f"{NO_DEVICE}: {problem}")
    from scripts.benchmarks.variants.cold import difference

    seconds = difference(lab, compiled=name == "cold_cached")
    return Result(name, "difference", seconds, target, f"{lab.rounds} pairs of starts of resnet50")


def _of_assessment(name: str, found: Assessment, target: Target | None, problem: str | None) -> Result:
    best = chosen.chosen(found)
    value = max(0.0, best.loss or 0.0) * 100 if name == "digits_loss" else best.speedup
    lacks = "" if target is not None else f"; the target needs a device: {problem}"
    return Result(name, "ratio", value, target, chosen.describe(found) + lacks)
