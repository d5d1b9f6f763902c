"""Tests of the class of a CPU."""

import pytest

from runtime.variants.cpu_class import class_of, cpu_class


def cpuinfo(vendor: str, flags: str) -> str:
    return f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: fpu {flags}\n\nprocessor\t: 1\nflags\t: amx_int8\n"


@pytest.mark.parametrize(
    ("vendor", "flags", "expected"),
    [
        ("GenuineIntel", "avx2 avx512f avx512_vnni amx_int8 amx_bf16", "intel-amx"),
        ("GenuineIntel", "avx2 avx512f avx512_vnni", "intel-avx512vnni"),
        ("GenuineIntel", "avx2 avx_vnni", "intel-avxvnni"),
        ("GenuineIntel", "avx2 avx512f", "intel-avx512"),
        ("AuthenticAMD", "avx2 fma", "amd-avx2"),
        ("AuthenticAMD", "sse4_2", "amd"),
        ("Unknown", "avx2", "x86-avx2"),
    ],
)
def test_the_class_of_an_x86_cpu_is_its_vendor_and_its_best_instructions(
    vendor: str, flags: str, expected: str
) -> None:
    assert class_of(cpuinfo(vendor, flags), machine="x86_64") == expected


@pytest.mark.parametrize(
    ("features", "expected"),
    [("fp asimd asimddp i8mm", "arm-i8mm"), ("fp asimd asimddp", "arm-dotprod"), ("fp asimd", "arm")],
)
def test_the_class_of_an_arm_cpu_is_its_best_instructions(features: str, expected: str) -> None:
    assert class_of(f"processor\t: 0\nFeatures\t: {features}\n", machine="aarch64") == expected


def test_the_class_of_another_machine_is_its_architecture() -> None:
    assert class_of("", machine="riscv64") == "riscv64"


def test_this_machine_has_a_class() -> None:
    assert cpu_class()
