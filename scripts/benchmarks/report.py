"""Formats figures as Markdown tables and as JSON."""

import datetime as dt
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from scripts.benchmarks.figures import Figure, PeerFigure

WIDTH = 1000  # wide enough that each row of a Markdown table is one line


def document(figures: Sequence[Figure]) -> dict[str, dict[str, object]]:
    """Return {name: {ours, floor, ratio, unit, target, met, ...}}, with at least four significant digits per number."""
    return {each.name: _entry(each) for each in figures}


def _entry(each: Figure) -> dict[str, object]:
    return {
        "ours": round(each.ours, 3),
        "floor": round(each.floor, 3),
        "ratio": round(each.ratio, 4),
        "unit": each.target.unit,
        "target": str(each.target),
        "met": each.met,
        "pairs": each.pairs,
        "disturbed": each.disturbed,
        **{name: round(value, 3) for name, value in each.extra.items()},
    }


def table(figures: Sequence[Figure]) -> str:
    """Return a Markdown table with one row per figure."""
    shown = Table("figure", "ours", "floor", "unit", "ours / floor", "target", "met", "details", box=MARKDOWN)
    for each in figures:
        digits = each.target.digits
        shown.add_row(
            each.name,
            f"{each.ours:,.{digits}f}",
            f"{each.floor:,.{digits}f}",
            each.target.unit,
            f"{each.ratio:.2f}",
            str(each.target),
            "yes" if each.met else "NO",
            _details(each),
        )
    return markdown(shown)


def peer_document(results: Sequence[PeerFigure]) -> dict[str, dict[str, dict[str, object]]]:
    """Return {figure: {peer: {ours, peer, ratio, unit, pairs, disturbed}}}."""
    document: dict[str, dict[str, dict[str, object]]] = {}
    for each in results:
        document.setdefault(each.figure.name, {})[each.peer] = {
            "ours": round(each.figure.ours, 3),
            "peer": round(each.figure.floor, 3),
            "ratio": round(each.figure.ratio, 4),
            "unit": each.figure.target.unit,
            "pairs": each.figure.pairs,
            "disturbed": each.figure.disturbed,
        }
    return document


def peer_tables(results: Sequence[PeerFigure]) -> str:
    """Return a Markdown table for each figure, with one row per peer."""
    names = dict.fromkeys(each.figure.name for each in results)
    return "\n\n".join(_peer_table([each for each in results if each.figure.name == name]) for name in names)


def _peer_table(results: Sequence[PeerFigure]) -> str:
    """Return the table of one figure. `results` is not empty."""
    name, target = results[0].figure.name, results[0].figure.target
    shown = Table("peer", "ours", "peer's", "ours / peer", "details", box=MARKDOWN)
    for each in results:
        shown.add_row(
            each.peer,
            f"{each.figure.ours:,.{target.digits}f}",
            f"{each.figure.floor:,.{target.digits}f}",
            f"{each.figure.ratio:.2f}",
            _details(each.figure),
        )
    better = "higher is better" if target.higher_is_better else "lower is better"
    return f"**{name}**, {target.unit}, {better}\n\n{markdown(shown)}"


def markdown(shown: Table) -> str:
    """Return a table as Markdown, each row on one line."""
    shown.box = MARKDOWN
    console = Console(width=WIDTH, color_system=None)
    with console.capture() as captured:
        console.print(shown)
    return captured.get().strip()


def _details(each: Figure) -> str:
    extra = [f"{name} {value:.3g}" for name, value in each.extra.items() if "." not in name]
    noise = [f"{each.disturbed} of {each.pairs} pairs disturbed"] if each.disturbed else []
    return ", ".join(extra + noise)


def machine() -> str:
    """Return a one-line description of the machine: processor, kernel, Python and date."""
    cpu = cpu_model(Path("/proc/cpuinfo").read_text())
    today = dt.datetime.now(tz=dt.UTC).date()
    return f"{os.cpu_count()} x {cpu}, Linux {platform.release()}, Python {platform.python_version()}, {today}"


def cpu_model(cpuinfo: str) -> str:
    """Return the name of the processor, or its architecture if Linux reports no name."""
    names = (line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name"))
    return next(names, platform.machine())
