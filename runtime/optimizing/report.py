"""The report of an optimization: report.json for programs, and report.png. `runtime.variants.table` has the table."""

import json
from pathlib import Path
from typing import Any, Final

from runtime.optimizing.plot import draw
from runtime.optimizing.values import Optimized, OptimizingFailed
from runtime.variants.values_json import data_of

DATA: Final = "report.json"
PLOT: Final = "report.png"


def document(optimized: Optimized, *, name: str) -> dict[str, Any]:
    """Return the whole result: the assessment as in a manifest, and the files of the usable candidates."""
    files = [
        {"variant": each.name, "provider": each.provider, "precision": each.precision, "path": str(each.path)}
        for each in optimized.candidates
    ]
    return {"model": name, "assessment": data_of(optimized.assessment), "files": files}


def save(optimized: Optimized, *, out: Path, plot: Path, name: str) -> None:
    """Write the assessment and the list of files to `out`/report.json, and the plot to a PNG file.

    Raises `OptimizingFailed` if a file cannot be written.
    """
    text = json.dumps(document(optimized, name=name), indent=2) + "\n"
    try:
        out.mkdir(parents=True, exist_ok=True)
        plot.parent.mkdir(parents=True, exist_ok=True)
        (out / DATA).write_text(text, "utf-8")
        draw(optimized.assessment, plot, title=name)
    except OSError as error:
        raise OptimizingFailed(
            name, f"the report cannot be written: {error.filename or out}: {error.strerror}"
        ) from error


def plot_place(report: Path | None, out: Path, *, only: bool) -> Path:
    """Return where the plot goes: a file that `report` names, or a folder for it; without `report`, `out`.

    With several models (`only` is false), a file cannot be meant: each has its plot in the folder of its result.
    """
    if report is None:
        return out / PLOT
    if report.suffix.lower() == ".png" and only:
        return report
    return report / (PLOT if only else f"{out.name}.png")
