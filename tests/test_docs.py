"""Tests that the documentation matches the code, and that the code is documented."""

import ast
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import msgspec
import pytest

from knative.resources.events import Events
from knative.resources.read import KINDS
from runtime import errors
from runtime.cli import scalezero
from runtime.settings import Settings
from runtime.status import CLIENT_LEFT, TABLE
from scripts import reference
from tests import ROOT

PAGES = ROOT / "docs"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *PAGES.rglob("*.md")])
SETTINGS, ERRORS, COMMANDS, RESOURCES, TROUBLESHOOTING = (
    (PAGES / f"{name}.md").read_text("utf-8")
    for name in ("settings", "errors", "commands", "resources", "troubleshooting")
)


def title(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """Return the fragments of a page's headings as on GitHub: lower case, no punctuation, hyphens for spaces."""
    without_code = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", without_code, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 130, "move details to a page in docs/"


def is_broken(target: str, document: Path) -> bool:
    path, _, fragment = target.partition("#")
    page = document.parent / path if path else document
    return not page.exists() or bool(fragment and fragment not in anchors(page))


def error_codes(kind: type[errors.ScalezeroError] = errors.ScalezeroError) -> Iterator[str]:
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield from [each.code] if "code" in vars(each) else []
            yield from error_codes(each)


@pytest.mark.parametrize("setting", fields(Settings), ids=lambda each: each.name)
def test_every_setting_is_in_the_reference_with_its_meaning(setting: object) -> None:
    facts = setting.metadata  # type: ignore[attr-defined]
    assert re.search(rf"\| `{facts['env']}` \| .* \| {re.escape(facts['doc'])} \|", SETTINGS)


@pytest.mark.parametrize("code", sorted({*error_codes(), *TABLE} - {CLIENT_LEFT}))
def test_every_error_code_is_in_the_reference_with_its_status(code: str) -> None:
    line = next(line for line in ERRORS.splitlines() if f"`{code}`" in line)
    assert line.startswith(f"| {TABLE[code].http}")


@pytest.mark.parametrize("code", sorted({*error_codes(), *TABLE} - {CLIENT_LEFT}))
def test_every_error_code_has_a_cause_and_a_next_step(code: str) -> None:
    table = [line for line in TROUBLESHOOTING.splitlines() if line.startswith("| ")]
    rows = [line for line in table if f"`{code}`" in line[2:].partition(" | ")[0]]
    assert len(rows) == 1
    assert all(len(cell.split()) > 1 for cell in rows[0].strip("| ").split(" | ")[1:])


def test_every_error_code_has_a_status() -> None:
    assert set(error_codes()) <= set(TABLE)


def test_every_error_class_is_in_the_tree_of_the_module_docstring() -> None:
    documented = set(re.findall(r"[|`]-- (\w+)", errors.__doc__ or ""))
    defined = {name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, Exception)}
    assert documented == defined - {"ScalezeroError"}


CONTEXT = click.Context(scalezero)


def commands(group: click.Group = scalezero, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(CONTEXT):
        command = group.get_command(CONTEXT, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


@pytest.mark.parametrize(("name", "command"), [*commands()], ids=lambda each: each if isinstance(each, str) else "")
def test_every_command_and_option_is_in_the_reference(name: str, command: click.Command) -> None:
    options = [each for each in command.params if isinstance(each, click.Option)]
    assert f"`scalezero {name} " in COMMANDS
    flags = [max(option.opts, key=len) for option in options]
    assert [flag for flag in flags if f"`{flag}`" not in COMMANDS] == []


def test_the_cli_reference_matches_the_help_texts() -> None:
    """The page is rendered in a new process, because click caches the help option of other tests."""
    code = "from scripts import reference; print(reference.render(), end='')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert reference.PAGE.read_text("utf-8") == done.stdout


def test_every_metric_is_in_the_operations_page() -> None:
    source = (ROOT / "runtime" / "telemetry" / "prometheus.py").read_text("utf-8")
    metrics = set(re.findall(r'"(scalezero_\w+)"', source))
    page = (PAGES / "operations.md").read_text("utf-8")
    assert metrics
    assert [name for name in sorted(metrics) if f"| `{name}` |" not in page] == []


def field_names(kind: type[msgspec.Struct], *, without: frozenset[type] = frozenset({Events})) -> Iterator[str]:
    """Yield the names of the fields of a part and of the parts in it, each part once."""
    for each in msgspec.structs.fields(kind):
        yield each.encode_name
        for inner in inner_types(each.type):
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct) and inner not in without:
                yield from field_names(inner, without=without | {kind, inner})


def inner_types(kind: object) -> Iterator[object]:
    yield kind
    for each in typing.get_args(kind):
        yield from inner_types(each)


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"APIDefinition", "Deployment"}))
def test_every_field_of_a_resource_is_in_the_reference(kind: str) -> None:
    line = next(line for line in RESOURCES.splitlines() if line.startswith(f"| {kind} |"))
    spec = next(each.type for each in msgspec.structs.fields(KINDS[kind]) if each.name == "spec")
    assert [name for name in field_names(spec) if f"`{name}`" not in line] == []


def test_every_field_of_the_events_is_in_the_reference() -> None:
    page = (PAGES / "eventing.md").read_text("utf-8")
    assert [name for name in field_names(Events) if f"`{name}`" not in page] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=title)
def test_every_link_to_a_file_or_a_heading_is_valid(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)]+)\)", document.read_text("utf-8"))
    assert [target for target in targets if is_broken(target, document)] == []


@pytest.mark.parametrize("target", ["missing.md", "README.md#no-such-heading", "#no-such-heading"])
def test_a_link_to_a_missing_file_or_heading_is_broken(target: str) -> None:
    assert is_broken(target, PAGES / "README.md")


@pytest.mark.parametrize("index", sorted(PAGES.rglob("README.md")), ids=title)
def test_an_index_links_every_page_of_its_folder(index: Path) -> None:
    page = index.read_text("utf-8")
    others = [each.name for each in index.parent.glob("*.md") if each != index]
    assert [name for name in others if f"]({name}" not in page] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=title)
def test_every_path_that_a_document_names_exists(document: Path) -> None:
    paths = re.findall(r"`((?:runtime|functions|knative|scripts|tests)/[\w./]*)`", document.read_text("utf-8"))
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_module_of_the_runtime_is_on_the_map() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    modules = [
        path.name for path in (ROOT / "runtime").rglob("*.py") if not path.name.endswith(("__init__.py", "_pb2.py"))
    ]
    assert [name for name in modules if name not in page] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=title)
def test_the_python_of_a_document_is_valid(document: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", document.read_text("utf-8"), flags=re.DOTALL):
        ast.parse(block)
