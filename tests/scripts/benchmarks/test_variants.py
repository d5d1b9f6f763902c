"""Tests of the results of `scripts/bench variants`."""

import pytest

from scripts.benchmarks import transformer
from scripts.benchmarks.variants.cli import openvino_problem
from scripts.benchmarks.variants.results import NAMES, Result, Target, document, table, target_of

AT_LEAST_2 = Target(2.0, higher_is_better=True)
MEASURED = Result("resnet50", "ratio", 2.13456, AT_LEAST_2, "int8-static-u8s8: it is fast")
MISSED = Result("digits_loss", "ratio", 0.7, Target(0.5, higher_is_better=False), "int8-nncf")
WITHOUT_DEVICE = Result("cold_first", "difference", None, None, "no device")


def test_the_names_are_stable() -> None:
    assert NAMES == ("resnet50", "minilm", "digits_loss", "cold_first", "cold_cached")


@pytest.mark.parametrize(
    ("name", "openvino", "cpu_class", "bound"),
    [
        ("resnet50", True, "intel-amx", 8.0),
        ("resnet50", True, "intel-avx2", 2.0),
        ("resnet50", False, "amd-avx2", 2.0),
        ("minilm", True, "intel-amx", 3.0),
        ("digits_loss", False, "amd-avx2", 0.5),
        ("cold_first", True, "intel-amx", 0.35),
        ("cold_cached", True, "intel-amx", 0.1),
    ],
)
def test_the_target_depends_on_the_machine(name: str, cpu_class: str, bound: float, *, openvino: bool) -> None:
    target = target_of(name, openvino=openvino, cpu_class=cpu_class)
    assert target is not None
    assert target.bound == bound


@pytest.mark.parametrize("name", ["minilm", "cold_first", "cold_cached"])
def test_without_a_device_a_figure_that_needs_one_has_no_target(name: str) -> None:
    assert target_of(name, openvino=False, cpu_class="intel-amx") is None


@pytest.mark.parametrize(("value", "met"), [(2.0, True), (1.99, False)])
def test_a_speedup_meets_its_target_from_the_bound_on(value: float, *, met: bool) -> None:
    assert AT_LEAST_2.met(value) is met


def test_a_figure_without_a_value_or_a_target_is_not_met() -> None:
    assert WITHOUT_DEVICE.met is None
    assert MEASURED._replace(target=None).met is None


def test_the_document_has_each_figure_by_its_name_and_field() -> None:
    found = document([MEASURED, MISSED, WITHOUT_DEVICE])
    assert found["resnet50"] == {
        "ratio": 2.1346,
        "target": ">= 2",
        "met": True,
        "detail": "int8-static-u8s8: it is fast",
    }
    assert found["digits_loss"]["met"] is False
    assert found["cold_first"] == {"difference": None, "target": None, "met": None, "detail": "no device"}


def test_the_table_says_what_is_not_measurable() -> None:
    lines = table([MEASURED, MISSED, WITHOUT_DEVICE, MEASURED._replace(target=None)]).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert cells == [
        ["resnet50", "2.135", ">= 2", "yes", "int8-static-u8s8: it is fast"],
        ["digits_loss", "0.700", "<= 0.5", "NO", "int8-nncf"],
        ["cold_first", "", "", "not measurable", "no device"],
        ["resnet50", "2.135", "", "no target", "int8-static-u8s8: it is fast"],
    ]


def test_without_a_device_the_reason_is_that_of_the_provider() -> None:
    problem = openvino_problem()
    if problem is None:
        pytest.skip("this machine has an OpenVINO device")
    assert problem.startswith("OpenVINOExecutionProvider cannot be used: ")


def test_a_smaller_encoder_has_the_stated_size() -> None:
    model = transformer.build(transformer.Size(layers=1, tokens=4, vocabulary=10))
    shapes = {each.name: list(each.dims) for each in model.graph.initializer}
    assert (shapes["tokens"], shapes["places"]) == ([10, 384], [4, 384])
    assert [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim] == [0, 4]
