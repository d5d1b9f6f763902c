"""Builds the guests with the machine's compiler, into the folder of the benchmark's models."""

from pathlib import Path
from typing import Final

from scripts.benchmarks.lab import CACHE, output_of
from scripts.benchmarks.launches import ROOT

EXAMPLE: Final = ROOT / "functions" / "wasm_digits"


def example() -> Path:
    """Build the example function. Raises CannotMeasure if its script fails."""
    target = _target("wasm-digits.wasm")
    output_of([str(EXAMPLE / "build"), str(target)])
    return target


def computing() -> Path:
    """Build the guest that computes many times. Raises CannotMeasure if the compiler fails."""
    target, source = _target("compute.wasm"), Path(__file__).with_name("compute.c")
    output_of(["clang", "--target=wasm32-wasi", "-O2", "-I", str(EXAMPLE), str(source), "-o", str(target)])
    return target


def _target(name: str) -> Path:
    CACHE.mkdir(parents=True, exist_ok=True)
    return CACHE / name
