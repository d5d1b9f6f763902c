"""The class of a CPU: its vendor and the instructions that decide how fast a variant runs.

Measurements hold for one class.

    intel-amx  intel-avx512vnni  intel-avxvnni  intel-avx512  intel-avx2  intel      and the same for amd
    arm-i8mm  arm-dotprod  arm

The vendor is a part of it, because OpenVINO's provider serves only on CPUs by Intel. Source of the flags: Linux,
arch/x86/include/asm/cpufeatures.h and Documentation/arch/arm64/elf_hwcaps.rst.
"""

import platform
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Final

_VENDORS: Final = {"GenuineIntel": "intel", "AuthenticAMD": "amd"}
_X86: Final = (  # the first whose flag the CPU has
    ("amx_int8", "amx"),
    ("avx512_vnni", "avx512vnni"),
    ("avx_vnni", "avxvnni"),
    ("avx512f", "avx512"),
    ("avx2", "avx2"),
)
_ARM: Final = (("i8mm", "i8mm"), ("asimddp", "dotprod"))


@cache
def cpu_class() -> str:
    """Return the class of this machine's CPU. It reads /proc/cpuinfo once; without that file it is the architecture."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        text = ""
    return class_of(text, machine=platform.machine())


def class_of(cpuinfo: str, *, machine: str) -> str:
    """Return the class from the text of /proc/cpuinfo and the machine's architecture, such as x86_64."""
    facts = _first_processor(cpuinfo)
    if machine in {"aarch64", "arm64"}:
        return _name("arm", facts.get("Features", "").split(), _ARM)
    if machine in {"x86_64", "AMD64"}:
        vendor = _VENDORS.get(facts.get("vendor_id", ""), "x86")
        return _name(vendor, facts.get("flags", "").split(), _X86)
    return machine.lower().replace("_", "-") or "unknown"


def _first_processor(cpuinfo: str) -> dict[str, str]:
    block = cpuinfo.partition("\n\n")[0]
    pairs = (line.partition(":") for line in block.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _name(vendor: str, flags: Collection[str], known: tuple[tuple[str, str], ...]) -> str:
    found = next((name for flag, name in known if flag in flags), None)
    return f"{vendor}-{found}" if found else vendor
