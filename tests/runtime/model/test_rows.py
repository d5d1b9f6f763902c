"""Shapes and names can rule out a batch axis, but not prove one."""

import numpy as np
import pytest

from runtime.model import rows
from runtime.tensors import Shape, TensorSpec


def specs(shapes: list[Shape | None], name: str) -> list[TensorSpec]:
    return [TensorSpec(f"{name}{index}", np.dtype(np.float32), shape) for index, shape in enumerate(shapes)]


@pytest.mark.parametrize(
    ("inputs", "outputs", "reason"),
    [
        ([("batch", 3)], [("batch", 1)], None),
        ([(None, 3)], [(None, 1)], None),
        ([("N",)], [("N",)], None),
        ([("N", 3), ("N", "length")], [("N", 1), ("N",)], None),
        ([("N", 3)], [("batch_size", 1)], None),  # the same meaning
        ([("N", 3)], [("Softmaxoutput_dim_0", 1)], None),
        ([("unk__1", 3), ("unk__2", 2)], [("unk__3", 1)], None),
        ([("s0", 3), ("s77", 2)], [("s0", 1)], None),
        ([("batch", 3), ("dynamic_axes_1", 3)], [("?", 1)], None),
        ([("?", 3, "?", "?")], [("", 3)], None),
        ([("7", 3)], [("p2o.DynamicDimension.0", 3)], None),
        ([("N", 3)], [None], None),  # a sequence of maps, one per row, or an unknown rank: the proof decides
        ([("unk__1", 3)], [("batch", 1)], None),
        ([("N", 3)], [("M", 1)], "output 'out0' has the first axis M; the inputs have N"),
        ([("batch", 3)], [("batch", 1), ("num_dets", 4)], "output 'out1' has the first axis num_dets"),
        ([("batch", 3)], [("batch + 1", 4)], "output 'out0' has the first axis batch [+] 1"),
        ([("N", 3)], [(1, 1)], "output 'out0' has the first axis 1"),
        ([("N", 3)], [()], "output 'out0' has no axis"),
        ([("N", "length")], [("length", 3)], "output 'out0' has the first axis length"),
        ([("unk__1", "length")], [("length", 3)], "output 'out0' has the first axis length"),
        ([("N", 3), ("M", 3)], [("N", 1)], "the names of the inputs' axes"),
        ([("N", "N")], [("N", 1)], "the names of the inputs' axes"),
        ([(1, 3)], [(1, 1)], "fixes the first axis of input 'in0' to 1"),
        ([("N", 3), (5, 3)], [("N", 1)], "fixes the first axis of input 'in1' to 5"),
        ([None], [("N", 1)], "input 'in0' has no known first axis"),
        ([()], [("N", 1)], "input 'in0' has no known first axis"),
        ([], [(3,)], "the model has no input"),
    ],
)
def test_the_reason_against_shared_runs(
    inputs: list[Shape | None], outputs: list[Shape | None], reason: str | None
) -> None:
    found = rows.reason_against_sharing(specs(inputs, "in"), specs(outputs, "out"))
    if reason is None:
        assert found is None
    else:
        assert found is not None
        assert reason.replace("[+]", "+") in found


@pytest.mark.parametrize(
    ("inputs", "outputs", "which"),
    [
        ([("batch", 3)], [("batch", 1), ("num_dets", 4), (), (2, 3), None], (True, False, False, False, True)),
        ([(1, 3)], [(1, 3), (1,)], (True, True)),
        ([(1, 3)], [(1, 3), ("num_dets", 4)], (False, False)),
        ([(2, 3)], [(2, 3)], (False,)),
        ([("N", 3), ("M", 3)], [("N", 1)], (False,)),
    ],
)
def test_which_outputs_may_have_one_row_per_input_row(
    inputs: list[Shape | None], outputs: list[Shape | None], which: tuple[bool, ...]
) -> None:
    assert rows.row_outputs(specs(inputs, "in"), specs(outputs, "out")) == which


@pytest.mark.parametrize(
    "generated",
    [
        "unk__7",
        "dynamic_axes_1",
        "s0",
        "s77",
        "u3",
        "Softmaxoutput_dim_0",
        "?",
        "12",
        "-1",
        "",
        "None",
        "symbolic_dim_4",
    ],
)
def test_generated_names_have_no_meaning(generated: str) -> None:
    assert rows.meaning(generated) is None


@pytest.mark.parametrize("name", ["seq", "num_dets", "samples", "sun", "dim"])
def test_other_names_have_a_meaning(name: str) -> None:
    assert rows.meaning(name) == name
