"""The plot of a report: the speed of each candidate against its loss of accuracy, with the bounds, as PNG."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.variants.values import ORIGINAL, Assessment, Measurement

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INCHES: Final = (9.0, 5.5)
_DOTS: Final = 120  # per inch
_LINEAR: Final = 1e-3  # losses up to this are on a linear scale, larger ones on a logarithmic one
# Colours that people with any colour vision can tell apart (Okabe and Ito); the markers differ too.
_CHOSEN: Final = ("*", 220, "#009E73")  # marker, its area in square points, colour
_USABLE: Final = ("o", 60, "#0072B2")
_REJECTED: Final = ("x", 50, "#D55E00")
_BOUND: Final = "#666666"
_POINTER: Final = {"arrowstyle": "-", "linewidth": 0.5, "color": _BOUND}
_FONT: Final = 9.0  # points
_LINE: Final = 12.0  # points from one line of text to the next
_WIDTH: Final = 0.62 * _FONT  # points of a character, about
_BESIDE, _ABOVE = 7.0, 5.0  # points from a marker to its label


class Label(NamedTuple):
    """A name beside a marker, in points of the figure."""

    text: str
    x: float  # of the marker
    y: float
    is_left: bool  # of the marker, because there is no room on the right
    bottom: float  # of the text

    @property
    def left(self) -> float:
        """The left end of the text."""
        return self.x - _BESIDE - self.width if self.is_left else self.x + _BESIDE

    @property
    def width(self) -> float:
        """The width of the text, about."""
        return _WIDTH * len(self.text)

    def meets(self, other: "Label") -> bool:
        """Return whether the texts overlap."""
        across = self.left < other.left + other.width and other.left < self.left + self.width
        return across and abs(self.bottom - other.bottom) < _LINE


def require_matplotlib() -> None:
    """Raise ModuleNotFoundError if matplotlib is not installed, before the minutes of an optimization."""
    import matplotlib as mpl  # noqa: F401


def draw(assessment: Assessment, path: Path, *, title: str) -> None:
    """Write the plot of an assessment to a PNG file. Raises OSError."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, dpi=_DOTS, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(f"{title}, one core of {assessment.cpu_class}, {assessment.batch_size} rows in a run")
    _draw_axes(axes, assessment)
    _draw_bounds(axes, assessment)
    measured = [each for each in assessment.measurements if each.speedup is not None]
    for each in measured:
        _draw_point(axes, each, assessment)
    axes.margins(x=0.15, y=0.15)
    figure.draw_without_rendering()  # so that the places of the markers in the figure are known
    points = figure.dpi / 72
    places = axes.transData.transform([_place(each) for each in measured]) / points
    named = zip((each.variant for each in measured), places.tolist(), strict=True)
    for label in spread([(name, x, y) for name, (x, y) in named], right=axes.bbox.x1 / points):
        _draw_label(axes, label, points)
    figure.savefig(path, format="png")


def spread(markers: Sequence[tuple[str, float, float]], *, right: float) -> list[Label]:
    """Place the label of each marker, from the bottom to the top, above all others that it would meet.

    `markers` are names and places, in points; `right` is the right end of the axes.
    """
    placed: list[Label] = []
    for text, x, y in sorted(markers, key=lambda each: each[2]):
        label = Label(text, x, y, is_left=False, bottom=y + _ABOVE)
        label = label._replace(is_left=label.left + label.width > right)
        for other in sorted(placed, key=lambda each: each.bottom):
            if label.meets(other):
                label = label._replace(bottom=other.bottom + _LINE)
        placed.append(label)
    return placed


def _draw_axes(axes: "Axes", assessment: Assessment) -> None:
    judged = assessment.metric is not None
    axes.set_xlabel(f"loss of {assessment.metric}" if judged else "accuracy is not judged: there is no data")
    axes.set_ylabel("speed, relative to the original")
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} x")
    if judged:
        axes.set_xscale("symlog", linthresh=_LINEAR)
    else:
        axes.set_xticks([])
    axes.grid(alpha=0.3)


def _draw_bounds(axes: "Axes", assessment: Assessment) -> None:
    axes.axhline(assessment.min_speedup, linestyle="--", linewidth=1, color=_BOUND)
    if assessment.metric is not None:
        axes.axvline(assessment.max_accuracy_loss, linestyle="--", linewidth=1, color=_BOUND)


def _draw_point(axes: "Axes", each: Measurement, assessment: Assessment) -> None:
    chosen = each.variant == assessment.chosen
    usable = each.rejected is None or each.variant == ORIGINAL
    x, y = _place(each)
    marker, area, colour = _CHOSEN if chosen else _USABLE if usable else _REJECTED
    axes.scatter([x], [y], s=area, c=colour, marker=marker, zorder=2)


def _place(each: Measurement) -> tuple[float, float]:
    return each.loss or 0.0, each.speedup or 0.0


def _draw_label(axes: "Axes", label: Label, points: float) -> None:
    """Draw a label, with a line to its marker if it is not directly beside it."""
    far = label.bottom - label.y > _LINE
    axes.annotate(
        label.text,
        (label.x * points, label.y * points),
        xycoords="figure pixels",
        xytext=(-_BESIDE if label.is_left else _BESIDE, label.bottom - label.y),
        textcoords="offset points",
        horizontalalignment="right" if label.is_left else "left",
        fontsize=_FONT,
        arrowprops={**_POINTER, "relpos": (1.0 if label.is_left else 0.0, 0.5)} if far else None,
    )
