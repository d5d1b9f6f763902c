"""Parse and format quantities as Kubernetes does.

The API server writes each quantity in its canonical form ("1000m" is "1"), so they are rendered in it, and a
rendered manifest compares equal to the stored object. Source: k8s.io/apimachinery/pkg/api/resource, Quantity.
"""

import re
from decimal import Decimal
from typing import Final

from runtime.errors import BadSetting

_CPU: Final = re.compile(r"(?P<milli>[0-9]{1,9})m|(?P<whole>[0-9]{1,9}(?:\.[0-9]{1,3})?)")
_MEMORY: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,3})?)(|[kMGT]|[KMGT]i)")
_DECIMAL: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY: Final = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def cores(text: str) -> Decimal:
    """Parse a CPU quantity, in cores. Raises `BadSetting`."""
    found = _CPU.fullmatch(text)
    if not found:
        raise BadSetting("cpu", value=text, allowed='CPUs such as "250m" or "1.5"')
    return Decimal(found["milli"]) / 1000 if found["milli"] else Decimal(found["whole"])


def in_bytes(name: str, text: str) -> int:
    """Parse an amount of memory or disk, in whole bytes. Raises `BadSetting` with the name."""
    found = _MEMORY.fullmatch(text)
    amount = Decimal(found[1]) * {**_DECIMAL, **_BINARY}[found[2]] if found else None
    if amount is None or amount % 1:
        raise BadSetting(name, value=text, allowed='bytes such as "256Mi" or "1.5G"')
    return int(amount)


def canonical_cpu(text: str) -> str:
    """Format CPUs as the API server does: "1" for "1000m", "1500m" for "1.5"."""
    milli = int(cores(text) * 1000)
    return f"{milli}m" if milli % 1000 else str(milli // 1000)


def canonical_bytes(text: str) -> str:
    """Format bytes as the API server does: in the largest unit without a fraction, binary if the text was binary."""
    amount = in_bytes("memory", text)
    units = _BINARY if text.endswith("i") else _DECIMAL
    unit, size = next((unit, size) for unit, size in reversed(units.items()) if amount % size == 0)
    return f"{amount // size}{unit}" if amount else "0"
