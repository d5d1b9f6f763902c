"""Pure: a model with rows and their expected answers, and the check of an answer."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from scripts.benchmarks.dialects import PLAIN, Dialect

RELATIVE_TOLERANCE: Final = 1e-4  # float32 sums depend on the batch's size
ABSOLUTE_SHARE: Final = 1e-5  # of the model's largest output: in a batch, a small score is 1 minus a rounded number

Row = Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model file, rows for it, the model's own answer to each row, and the JSON format of requests."""

    path: Path
    rows: Sequence[Row]
    answers: Sequence[Sequence[float]]
    dialect: Dialect = PLAIN
    input_name: str = "features"

    @property
    def name(self) -> str:
        """The name under which a server serves the file."""
        return self.path.stem

    def in_dialect(self, dialect: Dialect) -> Self:
        """Return the same subject with another format of requests."""
        return replace(self, dialect=dialect)

    def body(self, index: int) -> bytes:
        """Return the request body for one row."""
        return json.dumps(self.dialect.request(self.rows[index])).encode()

    def accepts(self, index: int, text: bytes) -> bool:
        """Whether an answer contains the outputs of this row."""
        try:
            got = flat(self.dialect.outputs(json.loads(text)))
        except (ValueError, LookupError, TypeError):
            return False
        return self.is_correct(index, got)

    def is_correct(self, index: int, got: Sequence[float]) -> bool:
        """Whether these are the outputs of this row."""
        largest = max((abs(number) for answer in self.answers for number in answer), default=0.0)
        return close(got, self.answers[index], within=ABSOLUTE_SHARE * largest)


def flat(value: object) -> list[float]:
    """Return the numbers of an answer, independent of their shape and names. Raises TypeError for other values."""
    if isinstance(value, int | float):
        return [float(value)]
    if isinstance(value, Mapping):
        return flat(list(value.values()))
    if isinstance(value, list):
        return [number for item in value for number in flat(item)]
    raise TypeError(f"the outputs contain a {type(value).__name__}; expected numbers")


def close(got: Sequence[float], expected: Sequence[float], *, within: float) -> bool:
    """Whether two rows of outputs are equal up to float32 rounding, or differ by at most `within`."""
    return len(got) == len(expected) and all(
        math.isclose(one, other, rel_tol=RELATIVE_TOLERANCE, abs_tol=within)
        for one, other in zip(got, expected, strict=True)
    )
