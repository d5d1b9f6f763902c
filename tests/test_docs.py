"""What the documents say is there, and what is there the documents say."""

import ast
import re
import typing
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import msgspec
import pytest

from knative.resources.read import KINDS
from runtime import errors
from runtime.cli import scalezero
from runtime.settings import Settings
from runtime.status import CLIENT_LEFT, TABLE

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
DOCUMENTS = sorted(ROOT.glob("*.md"))


def error_codes(kind: type[errors.ScalezeroError] = errors.ScalezeroError) -> Iterator[str]:
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield from [each.code] if "code" in vars(each) else []
            yield from error_codes(each)


@pytest.mark.parametrize("setting", fields(Settings), ids=lambda each: each.name)
def test_every_setting_stands_in_the_readme_with_its_meaning(setting: object) -> None:
    facts = setting.metadata  # type: ignore[attr-defined]
    assert re.search(rf"\| `{facts['env']}` \| .* \| {re.escape(facts['doc'])} \|", README)


@pytest.mark.parametrize("code", sorted({*error_codes(), *TABLE} - {CLIENT_LEFT}))
def test_every_error_code_stands_in_the_readme_beside_its_status(code: str) -> None:
    line = next(line for line in README.splitlines() if f"`{code}`" in line)
    assert line.startswith(f"| {TABLE[code].http}")


def test_every_error_of_the_tree_has_a_status() -> None:
    assert set(error_codes()) <= set(TABLE)


def test_every_error_stands_in_the_tree_that_the_module_draws() -> None:
    drawn = set(re.findall(r"[|`]-- (\w+)", errors.__doc__ or ""))
    made = {name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, Exception)}
    assert drawn == made - {"ScalezeroError"}


CONTEXT = click.Context(scalezero)


@pytest.mark.parametrize("verb", scalezero.list_commands(CONTEXT))
def test_every_verb_and_option_of_the_command_stands_in_the_readme(verb: str) -> None:
    command = scalezero.get_command(CONTEXT, verb)
    assert command is not None
    options = [each for each in command.params if isinstance(each, click.Option)]
    assert f"`scalezero {verb} " in README
    names = [max(option.opts, key=len) for option in options]
    assert [name for name in names if f"`{name}`" not in README] == []


def field_names(kind: type[msgspec.Struct]) -> Iterator[str]:
    for each in msgspec.structs.fields(kind):
        yield each.encode_name
        for inner in [each.type, *typing.get_args(each.type)]:
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                yield from field_names(inner)


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"APIDefinition", "Deployment"}))
def test_every_field_of_a_resource_stands_in_the_readme(kind: str) -> None:
    line = next(line for line in README.splitlines() if line.startswith(f"| {kind} |"))
    spec = next(each.type for each in msgspec.structs.fields(KINDS[kind]) if each.name == "spec")
    assert [name for name in field_names(spec) if f"`{name}`" not in line] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: each.name)
def test_every_link_to_a_file_leads_to_one(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text("utf-8"))
    assert [target for target in targets if not (ROOT / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: each.name)
def test_every_path_that_a_document_names_exists(document: Path) -> None:
    named = re.findall(r"`((?:runtime|functions|knative|scripts|tests)/[\w./]*)`", document.read_text("utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_module_of_the_runtime_stands_on_the_map() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    modules = [
        path.name for path in (ROOT / "runtime").rglob("*.py") if not path.name.endswith(("__init__.py", "_pb2.py"))
    ]
    assert [name for name in modules if name not in page] == []


def test_the_readmes_python_is_python() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        ast.parse(block)
