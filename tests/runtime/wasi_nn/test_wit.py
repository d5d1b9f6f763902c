"""Our form of wasi:nn@0.1.0 has all functions of the original, which is not valid WIT. docs/wasm.md says why."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.wasi_nn import components, nn_0_1_0
from tests import ROOT
from tests.runtime.wasi_nn.building import WIT

ORIGINAL = (Path(__file__).parent / "spec" / "wasi-nn.wit").read_text("utf-8")
OURS = (WIT / "nn-0.1.0" / "nn.wit").read_text("utf-8")
PAGE = (ROOT / "docs" / "wasm.md").read_text("utf-8")
ADDED = {"load-by-name", "get-output-data"}
# What the tool says of the original, and the change after which it goes on.
FAULTS = [
    ("expected a type, found keyword `resource`", "type graph = resource;", "resource graph;"),
    (
        "expected a type, found keyword `resource`",
        "type graph-execution-context = resource;",
        "resource graph-execution-context;",
    ),
    ("expected a type, found '('", "result<(), error>", "result<_, error>"),
    ("name `graph-builder` is not defined", "interface nn {", "interface nn {\n    type graph-builder = list<u8>;"),
]


def functions(wit: str) -> dict[str, str]:
    """Return the signature of each function, with single spaces."""
    found = re.findall(r"([\w-]+): func\((.*?)\)( -> .*?)?;", wit, flags=re.DOTALL)
    return {name: " ".join(f"({arguments.strip()}){result}".split()) for name, arguments, result in found}


def refusal(folder: Path, wit: str) -> str:
    """Return what the tool says of the file; empty: it is valid."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "nn.wit").write_text(wit if "world" in wit else f"{wit}\nworld ml {{ import nn; }}\n")
    tool = Path(sys.executable).parent / "componentize-py"
    command: list[str | Path] = [tool, "-d", folder, "-w", "ml", "bindings", folder / "bindings"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def test_ours_is_valid(tmp_path: Path) -> None:
    assert refusal(tmp_path / "wit", OURS) == ""


def test_the_original_is_not_valid_for_the_reasons_that_the_page_gives(tmp_path: Path) -> None:
    wit = ORIGINAL
    for said, before, after in FAULTS:
        assert said in refusal(tmp_path / "wit", wit)
        assert before in wit
        wit = wit.replace(before, after)
    for _, before, _ in FAULTS[:2]:
        assert f"`{before}`" in PAGE


def test_ours_has_the_functions_of_the_original_and_two_more() -> None:
    original, ours = functions(ORIGINAL), functions(OURS)
    assert set(ours) - set(original) == ADDED
    assert all(f"`{name}" in PAGE for name in ADDED)
    changed = {"graph: graph": "graph: borrow<graph>", "ctx: graph-": "ctx: borrow<graph-", "<(), ": "<_, "}
    for name, signature in original.items():
        expected = signature
        for before, after in changed.items():
            expected = expected.replace(before, after)
        assert ours[name] == expected.replace("borrow<graph-execution-context", "borrow<graph-execution-context>")


@pytest.mark.parametrize(
    ("wit", "codes"),
    [("nn-0.2.0-rc-2024-10-28/wasi-nn.wit", components.CODES), ("nn-0.1.0/nn.wit", nn_0_1_0.CODES)],
)
def test_every_error_that_the_host_returns_is_in_the_interface(wit: str, codes: dict[object, str]) -> None:
    declared = re.search(r"enum error(?:-code)? \{(.*?)\}", (WIT / wit).read_text("utf-8"), flags=re.DOTALL)
    assert declared
    assert set(codes.values()) <= {each.strip() for each in declared[1].split(",")}
