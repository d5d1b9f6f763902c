"""A model that the methods of quantization accept, and its rows."""

from pathlib import Path

import numpy as np

from runtime.optimizing.quantizable import Quantizable


def test_a_feed_has_one_row_or_one_sample_and_a_scalar_is_an_array() -> None:
    """ONNX Runtime refuses NumPy's scalars."""
    rows: dict[str, np.ndarray] = {"x": np.zeros((2, 3)), "image": np.zeros((2, 5, 5)), "scale": np.ones(2, np.float32)}
    feeds = list(Quantizable(Path("m.onnx"), rows, {"image", "scale"}).feeds())
    assert len(feeds) == 2
    assert [each.shape for each in feeds[0].values()] == [(1, 3), (5, 5), ()]
    assert all(isinstance(each, np.ndarray) for each in feeds[0].values())
