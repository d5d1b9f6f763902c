"""Pure: the results of `scripts/bench variants`, and their targets on this machine.

resnet50     rows/s of the chosen variant / rows/s of ONNX Runtime with fp32, 8 rows in a run
minilm       the same for a text encoder of 6 layers and 64 tokens
digits_loss  the loss of accuracy of the chosen variant, in points
cold_first   seconds from the start to readiness with OpenVINO chosen, minus those with fp32
cold_cached  the same with a compiled model in the registry
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from rich.table import Table

from scripts.benchmarks.report import markdown

Field: TypeAlias = Literal["ratio", "difference"]
NAMES: Final = ("resnet50", "minilm", "digits_loss", "cold_first", "cold_cached")
NO_DEVICE: Final = "OpenVINO has no device on this machine"


class Target(NamedTuple):
    """A bound on a value."""

    bound: float
    higher_is_better: bool

    def met(self, value: float) -> bool:
        """Whether a value meets the target."""
        return value >= self.bound if self.higher_is_better else value <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.higher_is_better else '<='} {self.bound:g}"


class Result(NamedTuple):
    """One figure. Without a value, or without a target, the reason says why there is none."""

    name: str
    field: Field
    value: float | None
    target: Target | None
    detail: str  # the chosen variant, or the reason

    @property
    def met(self) -> bool | None:
        """Whether the value meets the target; None: there is no value or no target."""
        return None if self.value is None or self.target is None else self.target.met(self.value)


def target_of(name: str, *, openvino: bool, cpu_class: str) -> Target | None:
    """Return the target of a figure on a machine; None: it needs an OpenVINO device, which the machine lacks."""
    if name == "resnet50":
        return Target(8.0 if openvino and cpu_class.endswith("-amx") else 2.0, higher_is_better=True)
    if name == "digits_loss":
        return Target(0.5, higher_is_better=False)
    if not openvino:
        return None
    if name == "minilm":
        return Target(3.0, higher_is_better=True)
    return Target({"cold_first": 0.35, "cold_cached": 0.1}[name], higher_is_better=False)


def document(results: Sequence[Result]) -> dict[str, dict[str, object]]:
    """Return {name: {ratio or difference, target, met, detail}}; null for what is not measurable."""
    return {
        each.name: {
            each.field: None if each.value is None else round(each.value, 4),
            "target": None if each.target is None else str(each.target),
            "met": each.met,
            "detail": each.detail,
        }
        for each in results
    }


def table(results: Sequence[Result]) -> str:
    """Return a Markdown table with one row per figure."""
    shown = Table("figure", "value", "target", "met", "details")
    for each in results:
        unknown = "not measurable" if each.value is None else "no target"
        met = {None: unknown, True: "yes", False: "NO"}[each.met]
        value = "" if each.value is None else f"{each.value:.3f}"
        shown.add_row(each.name, value, "" if each.target is None else str(each.target), met, each.detail)
    return markdown(shown)
