"""Pure: a model as it is asked for (rows in, the right answers out) and whether an answer is right."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from scripts.benchmarks.dialects import PLAIN, Dialect

RELATIVE_TOLERANCE: Final = 1e-4  # float32 sums depend on the batch's size
ABSOLUTE_SHARE: Final = 1e-5  # of the model's largest output: a small score is 1 less a rounded one, in a batch

Row = Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model file, rows for it, what the model itself makes of each row, and the JSON in which it is asked."""

    path: Path
    rows: Sequence[Row]
    answers: Sequence[Sequence[float]]
    dialect: Dialect = PLAIN
    input_name: str = "features"

    @property
    def name(self) -> str:
        """The name under which a bare file is served."""
        return self.path.stem

    def in_dialect(self, dialect: Dialect) -> Self:
        """The same, asked otherwise."""
        return replace(self, dialect=dialect)

    def body(self, index: int) -> bytes:
        """The request for one row."""
        return json.dumps(self.dialect.request(self.rows[index])).encode()

    def accepts(self, index: int, text: bytes) -> bool:
        """Whether an answer holds the outputs of this row."""
        try:
            got = flat(self.dialect.outputs(json.loads(text)))
        except (ValueError, LookupError, TypeError):
            return False
        return self.is_right(index, got)

    def is_right(self, index: int, got: Sequence[float]) -> bool:
        """Whether these are the outputs of this row."""
        largest = max((abs(number) for answer in self.answers for number in answer), default=0.0)
        return close(got, self.answers[index], within=ABSOLUTE_SHARE * largest)


def flat(value: object) -> list[float]:
    """The numbers of an answer, whatever shape or names they come in. Raises TypeError on anything else."""
    if isinstance(value, int | float):
        return [float(value)]
    if isinstance(value, Mapping):
        return flat(list(value.values()))
    if isinstance(value, list):
        return [number for item in value for number in flat(item)]
    raise TypeError(f"outputs hold {type(value).__name__}; expected numbers")


def close(got: Sequence[float], expected: Sequence[float], *, within: float) -> bool:
    """Whether two rows of outputs are the same but for float32 rounding, or differ by no more than `within`."""
    return len(got) == len(expected) and all(
        math.isclose(one, other, rel_tol=RELATIVE_TOLERANCE, abs_tol=within)
        for one, other in zip(got, expected, strict=True)
    )
