"""ONNX's own backend tests over the predict API: each answer is correct, or has one of the reasons below."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime as ort
import orjson
import pytest

from runtime.errors import InvalidModel, ScalezeroError
from runtime.model.session import Session
from runtime.protocols import predict
from runtime.tensors import Prediction
from tests.conformance.onnx_cases import Case, cases
from tests.runtime.frontends.conftest import serving

CORRECT: Final = "correct"
NOT_RUN: Final = "ONNX Runtime cannot load or run it"
OTHER_ANSWER: Final = "ONNX Runtime's own answer differs"
NO_INFINITY: Final = "an input contains infinity, which JSON does not have"
NO_FORM: Final = "float8e8m0 cannot represent JSON numbers: it has no zero and no sign"
RANDOM: Final = "the answer is random"
REASONS: Final = {NOT_RUN, OTHER_ANSWER, NO_INFINITY, NO_FORM, RANDOM}
PARTS: Final = 8
MIN_CORRECT: Final = 1799  # with onnx 1.23 and ONNX Runtime 1.32


@pytest.fixture(scope="module")
def all_cases() -> list[Case]:
    return list(cases())


@pytest.fixture(scope="module")
def counted() -> Counter[str]:
    return Counter()


@pytest.mark.parametrize("part", range(PARTS))
def test_every_case_is_correct_or_has_a_known_reason(
    all_cases: list[Case], counted: Counter[str], tmp_path: Path, part: int
) -> None:
    outcomes = {case.name: _outcome(case, tmp_path / "m.onnx") for case in all_cases[part::PARTS]}
    counted.update(outcomes.values())
    assert {name: outcome for name, outcome in outcomes.items() if outcome not in {CORRECT, *REASONS}} == {}


def test_the_number_of_correct_cases_does_not_decrease(counted: Counter[str]) -> None:
    if counted.total() < 2000:
        pytest.skip("only a part of the cases ran")
    assert counted[CORRECT] >= MIN_CORRECT, counted


@pytest.mark.parametrize(
    "name",
    [
        "test_matmul_3d",
        "test_string_concat",
        "test_reduce_sum_empty_axes_input_noop",  # axes: []
        "test_split_to_sequence_1",  # a sequence as output
        "test_sequence_insert_at_front",  # a sequence as input
        "test_cast_BFLOAT16_to_FLOAT",
        "test_loop16_seq_none",  # an optional sequence
    ],
)
def test_a_server_gives_the_same_answer(all_cases: list[Case], tmp_path: Path, name: str) -> None:
    case = next(each for each in all_cases if each.name == name)
    onnx.save(case.model, tmp_path / "m.onnx")
    with serving(tmp_path, tmp_path / "m.onnx") as served:
        response = served.predict({name: _json(value) for name, value in case.inputs.items()})
    assert response.status_code == 200, response.text
    assert _agree(response.json()["outputs"], case.outputs, case)


def _outcome(case: Case, path: Path) -> str:
    """`CORRECT`, a reason, or a description of the failure."""
    onnx.save(case.model, path)
    try:
        session = Session(path, uri="m", name="m", threads=1)
        answer = _answer(session, {name: _json(value) for name, value in case.inputs.items()})
    except ScalezeroError as error:
        return _reason(case, path, error)
    if _agree(answer, case.outputs, case):
        return CORRECT
    if any(_has_infinity(value) for value in case.inputs.values()):
        return NO_INFINITY
    if "dropout" in case.name:
        return RANDOM
    return OTHER_ANSWER if _agree(answer, _by_onnx_runtime(case, path), case) else f"wrong: {answer}"[:300]


def _answer(session: Session, inputs: dict[str, object]) -> Any:  # noqa: ANN401 - any JSON value
    query = predict.parse(orjson.dumps({"inputs": inputs}), session.signature)
    session.signature.validate(query.tensors)
    outputs = session.run(query.tensors)
    prediction = Prediction(outputs, model="m", version="1", arrived=0.0, queued=0.0, batched=0.0, ran=0.0)
    return orjson.loads(predict.render(query, prediction, session.signature, latency=0.0))["outputs"]


def _reason(case: Case, path: Path, error: ScalezeroError) -> str:
    if isinstance(error, InvalidModel) and re.search(r"float8e8m0.*export the model with a Cast", str(error)):
        return NO_FORM
    try:
        _by_onnx_runtime(case, path)
    except Exception:  # noqa: BLE001 - onnxruntime's exceptions have no other common base class
        return NOT_RUN
    return str(error)


def _by_onnx_runtime(case: Case, path: Path) -> Mapping[str, Any]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    outputs = session.run(None, dict(case.inputs))
    return {node.name: output for node, output in zip(session.get_outputs(), outputs, strict=True)}


def _has_infinity(value: Any) -> bool:  # noqa: ANN401 - an array, a sequence of them, or None
    if isinstance(value, list):
        return any(map(_has_infinity, value))
    return value is not None and value.dtype.kind == "f" and bool(np.isinf(value.astype(np.float64)).any())


def _json(value: Any) -> Any:  # noqa: ANN401 - an array, a sequence of them, or None; any JSON value
    """Return the value as a caller writes it, with null for floats that are not finite."""
    if value is None or isinstance(value, list):
        return None if value is None else [_json(each) for each in value]
    if value.dtype.kind in "OSU":
        return _text(value.tolist())
    if value.dtype.kind not in "iub":  # floats, and the types of ml_dtypes
        whole = "int" in value.dtype.name
        return _finite(value.astype(np.int64 if whole else np.float64).tolist())
    return value.tolist()


def _text(value: Any) -> Any:  # noqa: ANN401 - (nested) lists of strings
    if isinstance(value, list):
        return [_text(each) for each in value]
    return value.decode() if isinstance(value, bytes) else value


def _finite(value: Any) -> Any:  # noqa: ANN401 - (nested) lists of numbers
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return value if math.isfinite(value) else None


def _agree(answer: Mapping[str, Any], outputs: Mapping[str, Any], case: Case) -> bool:
    return all(_near(answer[name], _json(value), case.rtol, case.atol) for name, value in outputs.items())


def _near(got: Any, expected: Any, rtol: float, atol: float) -> bool:  # noqa: ANN401 - any JSON value
    if isinstance(got, list) and isinstance(expected, list):
        return len(got) == len(expected) and all(_near(*pair, rtol, atol) for pair in zip(got, expected, strict=True))
    if isinstance(got, (bool, str, type(None))) or isinstance(expected, (bool, str, type(None))):
        return got is expected or (isinstance(got, str) and got == expected)
    if isinstance(got, list) or isinstance(expected, list):
        return False
    return bool(abs(got - expected) <= atol + rtol * abs(expected))
