"""What `scalezero models` prints of WebAssembly guests: tables for people, and JSON values."""

from collections.abc import Iterator
from typing import Final

import click

from knative.commands.output import table
from runtime.registry import GuestEntry, StoredCode
from runtime.registry.terminal import size_text

_CODES: Final = ("COMPILER", "CPU", "SIZE", "STATE", "PUBLISHED", "BY", "SHA256", "URI")
_NONE: Final = "-"
_KINDS: Final = {"core": "core module", "component": "component", None: "not WebAssembly"}


def shown_data(entry: GuestEntry) -> dict[str, object]:
    """Return a guest as JSON values. Each field is always present; null: unknown."""
    guest = entry.guest
    return {
        "uri": entry.uri,
        "sha256": guest and guest.sha256,
        "size": guest and guest.size,
        "format": guest and guest.kind,
        "publishedAt": guest and guest.published_at,
        "publishedBy": guest and guest.published_by,
        "problem": entry.problem,
        "codes": [_code_data(each) for each in entry.codes],
        "others": list(entry.others),
    }


def _code_data(code: StoredCode) -> dict[str, object]:
    return {
        "uri": code.uri,
        "compiler": code.place.compiler,
        "cpu": code.place.cpu,
        "format": code.place.kind,
        "sha256": code.sha256,
        "size": code.size,
        "publishedAt": code.published_at,
        "publishedBy": code.published_by,
        "problem": code.problem,
    }


def entry_data(entry: GuestEntry) -> dict[str, object]:
    """Return a guest of a listing as JSON values, with the fields that the entry of a model has."""
    return {
        "kind": "guest",
        "uri": entry.uri,
        "manifest": None,
        "problem": entry.problem,
        "added": [],
        "leftovers": [],
        "guest": shown_data(entry),
    }


def row(entry: GuestEntry) -> tuple[str, ...]:
    """Return the row of a guest in a listing of models; its code is in the column of the chosen variants."""
    guest = entry.guest
    codes = ", ".join(f"{each.place.cpu} {each.place.compiler}" for each in entry.codes) or _NONE
    if guest is None:
        return ("guest", _NONE, _NONE, _NONE, _NONE, codes, "no guest", entry.uri)
    size, published = size_text(guest.size), guest.published_at or _NONE
    return ("guest", _NONE, _NONE, guest.kind or _NONE, size, codes, published, entry.uri)


def notes(entry: GuestEntry) -> Iterator[str]:
    """Yield lines about a guest and code that no deploy pins."""
    if entry.problem:
        step = f"; to delete it: scalezero models delete '{entry.uri}'" if entry.guest is None else ""
        yield f"{entry.uri}: {entry.problem}{step}"
    if entry.guest is not None:
        yield from (f"{each.uri}: no deploy pins it: {each.problem}" for each in entry.codes if each.problem)


def show(entry: GuestEntry) -> None:
    """Print the facts of a guest, and its compiled code."""
    guest = entry.guest
    click.echo(f"guest      {entry.uri}")
    if guest is not None:
        by = f" by {guest.published_by}" if guest.published_by else ""
        click.echo(f"published  {guest.published_at or 'at an unrecorded time'}{by}")
        click.echo(f"sha256     {guest.sha256 or 'not recorded'}, {size_text(guest.size)}")
        click.echo(f"format     {_KINDS[guest.kind]}")
    click.echo()
    if entry.codes:
        table(_CODES, map(_code, entry.codes))
    else:
        click.echo("no compiled code, so each pod compiles the guest; scalezero wasm compile adds it")
    for line in notes(entry):
        click.echo(line, err=True)
    for each in entry.others:
        click.echo(f"{each}: it is no compiled code", err=True)


def _code(code: StoredCode) -> tuple[str, ...]:
    published = (code.published_at or _NONE, code.published_by or _NONE)
    facts = (code.place.compiler, code.place.cpu, size_text(code.size), "unusable" if code.problem else "ok")
    return (*facts, *published, code.sha256 or _NONE, code.uri)
