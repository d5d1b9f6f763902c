"""Pure: a model as it is asked for (rows in, the right answers out) and whether an answer is right."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

RELATIVE_TOLERANCE: Final = 1e-4  # float32 sums depend on the batch's size
ABSOLUTE_SHARE: Final = 1e-5  # of the row's largest output

Row = Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model file, rows for it, and what the model itself makes of each row."""

    path: Path
    rows: Sequence[Row]
    answers: Sequence[Sequence[float]]

    @property
    def name(self) -> str:
        """The name under which a bare file is served."""
        return self.path.stem

    def body(self, index: int) -> bytes:
        """The request for one row."""
        return json.dumps({"inputs": list(self.rows[index])}).encode()

    def accepts(self, index: int, text: bytes) -> bool:
        """Whether an answer holds the outputs of this row."""
        try:
            got = flat(json.loads(text)["outputs"])
        except (ValueError, KeyError, TypeError):
            return False
        return close(got, self.answers[index])


def flat(value: object) -> list[float]:
    """The numbers of an answer, whatever shape or names they come in. Raises TypeError on anything else."""
    if isinstance(value, int | float):
        return [float(value)]
    if isinstance(value, Mapping):
        return flat(list(value.values()))
    if isinstance(value, list):
        return [number for item in value for number in flat(item)]
    raise TypeError(f"outputs hold {type(value).__name__}; expected numbers")


def close(got: Sequence[float], expected: Sequence[float]) -> bool:
    """Whether two rows of outputs are the same but for float32 rounding."""
    floor = ABSOLUTE_SHARE * max((abs(number) for number in expected), default=0.0)
    return len(got) == len(expected) and all(
        math.isclose(one, other, rel_tol=RELATIVE_TOLERANCE, abs_tol=floor)
        for one, other in zip(got, expected, strict=True)
    )
