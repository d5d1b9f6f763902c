"""Make a model and rows for it: `python -m scripts.benchmarks.making KIND FOLDER`, KIND is v1, v2 or heavy.

A process of its own: what it imports (training, ONNX) must not be mapped by the process that measures memory.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PAYMENT_ROWS: Final = 32
PAYMENT_SEED: Final = 1  # a stream that no training saw
HEAVY_ROWS: Final = 8
NAMES: Final = {"v1": "payment-model-v1", "v2": "payment-model-v2", "heavy": "text-encoder"}


def payment(version: str, folder: Path) -> list[list[float]]:
    """Train one version into the folder; return rows of the synthetic stream, as short as float32 allows."""
    from functions.payment_model.train import sample, train

    train(version, folder)
    features = sample(PAYMENT_ROWS, seed=PAYMENT_SEED).features
    return [[float(str(number)) for number in row] for row in features]


def heavy(path: Path) -> list[list[int]]:
    """Write the text encoder; return rows of token ids."""
    from scripts.benchmarks import transformer

    transformer.write(path)
    return transformer.rows(HEAVY_ROWS)


def main() -> None:
    """Write NAME.onnx and NAME.rows.json."""
    kind, folder = sys.argv[1], Path(sys.argv[2])
    name = NAMES[kind]
    rows: Sequence[Sequence[float]]
    rows = heavy(folder / f"{name}.onnx") if kind == "heavy" else payment(f"{kind.removeprefix('v')}.0.0", folder)
    (folder / f"{name}.rows.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
