"""Which candidates there are for a model: a method that makes an int8 file, and a provider that runs it. Pure."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from runtime.variants.values import CPU_PROVIDER, OPENVINO_PROVIDER, ORIGINAL

Method: TypeAlias = Literal["int8-dynamic", "int8-static-u8s8", "int8-static-s8s8", "int8-nncf"]

METHODS: Final[tuple[Method, ...]] = get_args(Method)
_INT8: Final = "int8"
_SUFFIXES: Final = {CPU_PROVIDER: "", OPENVINO_PROVIDER: "openvino"}
# CPU classes whose int8 products are summed without saturation. On other x86 CPUs the sum of two products of 8 bits by
# 8 bits may not fit its 16 bits.
_EXACT: Final = ("amx", "vnni", "arm")


class Candidate(NamedTuple):
    """A file on a provider."""

    name: str  # of the variant
    provider: str
    precision: str | None  # element type of the weights
    method: Method | None  # what makes its file; None: it is the original's file


def candidates_for(providers: Sequence[str], *, precision: str | None) -> tuple[Candidate, ...]:
    """Return all candidates on these providers, without the original. `precision` is that of the original."""
    files: tuple[Method | None, ...] = (None, *METHODS)
    return tuple(
        Candidate(_name(method, provider), provider, _INT8 if method else precision, method)
        for method in files
        for provider in providers
        if method or provider != CPU_PROVIDER
    )


def _name(method: Method | None, provider: str) -> str:
    suffix = _SUFFIXES[provider]
    return "-".join(each for each in (method, suffix) if each) or ORIGINAL


def saturates(cpu_class: str) -> bool:
    """Return whether sums of int8 products may saturate on this class of CPU, unless weights have 7 bits."""
    return not any(each in cpu_class for each in _EXACT)
