"""Tests of which candidates there are."""

import pytest

from runtime.optimizing.candidates import candidates_for, saturates
from runtime.variants.values import CPU_PROVIDER, OPENVINO_PROVIDER


def test_on_the_cpu_provider_each_method_is_a_candidate() -> None:
    names = [each.name for each in candidates_for([CPU_PROVIDER], precision="float32")]
    assert names == ["int8-dynamic", "int8-static-u8s8", "int8-static-s8s8", "int8-nncf"]


def test_another_provider_adds_the_original_and_each_file_on_it() -> None:
    found = candidates_for([CPU_PROVIDER, OPENVINO_PROVIDER], precision="float32")
    added = {each.name: each for each in found if each.provider == OPENVINO_PROVIDER}
    assert list(added) == [
        "openvino",
        "int8-dynamic-openvino",
        "int8-static-u8s8-openvino",
        "int8-static-s8s8-openvino",
        "int8-nncf-openvino",
    ]
    assert (added["openvino"].method, added["openvino"].precision) == (None, "float32")
    assert (added["int8-nncf-openvino"].method, added["int8-nncf-openvino"].precision) == ("int8-nncf", "int8")


@pytest.mark.parametrize(
    ("cpu_class", "expected"),
    [("intel-amx", False), ("amd-avx512vnni", False), ("arm-i8mm", False), ("amd-avx2", True), ("intel-avx512", True)],
)
def test_int8_products_saturate_without_instructions_for_them(cpu_class: str, expected: bool) -> None:  # noqa: FBT001
    assert saturates(cpu_class) is expected
