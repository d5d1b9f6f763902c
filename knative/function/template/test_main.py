"""Tests of the function with a newly trained model. Run them with `python -m pytest FOLDER`, from any folder."""

import runpy
from pathlib import Path

import functions_framework
import pytest

FOLDER = Path(__file__).parent
train = runpy.run_path(str(FOLDER / "train.py"))["train"]


def test_each_row_gets_its_species(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALEZERO_MODEL_URI", str(train("1.0.0", tmp_path).path))
    monkeypatch.setenv("SCALEZERO_MODEL_NAME", "example-function")
    client = functions_framework.create_app("handle", str(FOLDER / "main.py")).test_client()
    answer = client.post("/", json={"rows": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]})
    assert answer.get_json() == {"species": ["setosa", "virginica"]}
