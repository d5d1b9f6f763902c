"""Whether a file that was made from a model can be used in its place: the same interface, and the same outputs."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from runtime.errors import ModelFailed, RejectedByModel
from runtime.model import generating
from runtime.model.session import Session

Inputs: TypeAlias = Sequence[np.ndarray]  # of a run, in the signature's order
NO_INPUT: Final = "the model accepts no generated input; pass data to compare the outputs"


class Reference(NamedTuple):
    """What the model does, which the made file must do too."""

    interface: tuple[object, ...]  # what a caller sees of it apart from its outputs
    runs: Sequence[tuple[Inputs, Sequence[np.ndarray]]]  # inputs that it accepts, with its outputs


def reference_of(model: Session, rows: Sequence[Inputs]) -> Reference:
    """Run the model on these inputs and on generated ones; those that it rejects are left out."""
    runs = []
    for inputs in (*rows, *generating.inputs(model.signature.inputs)):
        try:
            runs.append((inputs, model.run(inputs)))
        except (RejectedByModel, ModelFailed):
            continue
    return Reference(_interface(model), runs)


def difference(reference: Reference, made: Session, alike: Callable[[np.ndarray, np.ndarray], bool]) -> str | None:
    """Return what the made file does differently, as the rest of a sentence; None: nothing."""
    if _interface(made) != reference.interface:
        return "has another signature or version"
    for inputs, expected in reference.runs:
        try:
            outputs = made.run(inputs)
        except (RejectedByModel, ModelFailed) as error:
            return f"rejects an input that the model accepts: {error}"
        if not all(map(alike, expected, outputs)):
            return "computes other outputs"
    return None


def _interface(session: Session) -> tuple[object, ...]:
    return session.signature.inputs, session.signature.outputs, session.version
