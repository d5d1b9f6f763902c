"""`scalezero models`: list, show, measure, verify and delete the published models and guests of a registry."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any, Final

import click

from knative.api.client import Cluster
from knative.api.errors import NoCluster
from knative.commands import arguments, guests_output
from knative.commands import models_output as output
from knative.commands.arguments import F
from knative.commands.output import answer, progress, table
from knative.commands.target import namespace_here
from knative.deploying.removing import model_users
from runtime.errors import ArtifactMissing, BadSetting, ScalezeroError
from runtime.registry import (
    GuestEntry,
    ModelNotPublished,
    Removal,
    Verification,
    add_assessment,
    entries,
    find_model,
    guest_entries,
    is_guest,
    optimization_of,
    plan_cleaning,
    plan_removal,
    read_assessments,
    read_guest,
    remove,
    require_manifest,
    select,
    verify,
    verify_guest,
)
from runtime.registry.interruption import ended_by_sigterm
from runtime.registry.terminal import progress_bar, size_text, steps_bar, tell
from runtime.variants import options

_DEFAULT: Final = "s3://models"


class ModelInUse(ScalezeroError):
    """A revision or a Deployment still serves the model or the guest."""

    code = "model_in_use"

    def __init__(self, uri: str, users: Sequence[str], *, namespace: str) -> None:
        super().__init__(
            f"{uri}: {', '.join(users)} in namespace {namespace} still use it; deploy without it or delete them first",
            uri=uri,
            users=list(users),
        )


class UsersUnknown(ScalezeroError):
    """Whether a revision uses the model is unknown, because no cluster is configured."""

    code = "model_users_unknown"

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(
            f"{uri}: not deleted, as revisions may use it; --yes deletes it anyway: {reason}",
            uri=uri,
        )


def _registry(command: F) -> F:
    text = "Where the models are: s3://bucket, s3://bucket/prefix or a folder."
    return click.option("--registry", default=_DEFAULT, show_default=True, help=text)(command)


@click.group("models")
def command() -> None:
    """List, show, measure, verify and delete published models, by their manifests, and WebAssembly guests."""


@command.command("list")
@click.argument("prefix", required=False)
@_registry
@click.option("--all", "every", is_flag=True, help="List models without a manifest too; they may be incomplete.")
@click.option("--kind", type=click.Choice(["model", "guest"]), help="List only models, or only guests.")
@arguments.output
def list_(prefix: str | None, registry: str, form: str, kind: str | None, *, every: bool) -> None:
    """List the models and guests below PREFIX: the start of file names in the registry, or of URIs."""
    root = _root(registry, prefix)
    found = [] if kind == "guest" else entries(root, every=every)
    guests = [] if kind == "model" else guest_entries(root)
    if form != "table":
        values = [*map(output.entry_data, found), *map(guests_output.entry_data, guests)]
        click.echo(answer(values, form), nl=False)
        return
    if not found and not guests:
        step = "scalezero publish FOLDER adds one" if kind == "guest" else "scalezero publish FILE URI adds one"
        click.echo(f"no {kind or 'model'}s in {root}; {step}")
        return
    table(output.LISTED, [*map(output.row, found), *map(guests_output.row, guests)])
    for line in chain(*map(output.notes, found), *map(guests_output.notes, guests)):
        click.echo(line, err=True)


@command.command("show")
@click.argument("model", metavar="NAME[:VERSION]|URI")
@_registry
@arguments.output
def show(model: str, registry: str, form: str) -> None:
    """Show a model: its newest version, VERSION, or the artifact at a URI. With its variants and their measurements.

    Or the WebAssembly guest at a URI, with its compiled code.
    """
    if _is_guest(model):
        _show_guest(model, form)
        return
    manifest = find_model(model, registry=_root(registry))
    added = read_assessments(manifest)
    if form != "table":
        click.echo(answer(output.shown_data(manifest, added), form), nl=False)
        return
    output.show(manifest, added)


def _is_guest(reference: str) -> bool:
    """Whether the argument is the URI of a guest, and not a name or the URI of a model."""
    return "/" in reference and is_guest(reference)


def _existing_guest(uri: str) -> GuestEntry:
    """Return the guest at a URI, or the code that was left of it. Raises `ArtifactMissing`."""
    entry = read_guest(uri)
    if not entry.exists:
        raise ArtifactMissing(uri, "there is no such guest")
    return entry


def _show_guest(uri: str, form: str) -> None:
    entry = _existing_guest(uri)
    if form != "table":
        click.echo(answer(guests_output.shown_data(entry), form), nl=False)
        return
    guests_output.show(entry)


@command.command("measure")
@click.argument("model", metavar="NAME[:VERSION]|URI")
@_registry
@click.option("--calibration", metavar="NPZ", help="Rows by input name, for the ranges of int8: a file or s3:// URI.")
@click.option("--evaluation", metavar="NPZ", help="Rows that judge accuracy, and labels by output name.")
@options.bounds()
@click.option("--again", is_flag=True, help="Measure a CPU class that was measured; the newest assessment counts.")
@arguments.output
def measure(model: str, registry: str, form: str, *, again: bool, **bounds: Any) -> None:  # noqa: ANN401 - options
    """Measure the variants of a published model on this machine, and add the assessment of its CPU class.

    Published variants are measured; with calibration data, missing ones are made. New deployments use the result.
    """
    if _is_guest(model):
        raise BadSetting("MODEL", value=model, allowed="a model; scalezero wasm compile adds the code of a guest")
    manifest = find_model(model, registry=_root(registry))
    with ended_by_sigterm():
        result = add_assessment(
            manifest.uri, optimization_of(**bounds), again=again, watch=progress_bar, steps=steps_bar, tell=tell
        )
    if form != "table":
        click.echo(answer(output.added_result_data(result), form), nl=False)
        return
    output.show_assessment(result.assessment)
    click.echo(f"{result.place} added")


@command.command("verify")
@click.argument("model", metavar="[NAME[:VERSION]|URI]", required=False)
@_registry
@arguments.output
def verify_(model: str | None, registry: str, form: str) -> None:
    """Hash every object again: of one model or guest, of all versions of NAME, or of the registry.

    Exit code 1: one differs, or compiled code has lost its guest.
    """
    results = list(_verify(model, _root(registry)))
    if form != "table":
        click.echo(answer([asdict(each) for each in results], form), nl=False)
    elif not results:
        click.echo(f"no models in {_root(registry)}")
    else:
        rows = ((each.kind, each.model, size_text(each.size), each.problem or "ok", each.uri) for each in results)
        table(("KIND", "MODEL", "SIZE", "STATE", "URI"), rows)
    sys.exit(0 if all(each.is_good for each in results) else 1)


@command.command("delete")
@click.argument("uri")
@click.option("--yes", is_flag=True, help="Delete without a cluster, so without a check of the revisions that use it.")
@click.option("--leftovers", is_flag=True, help="Delete only variants that no manifest and no assessment names.")
@arguments.cluster
@arguments.output
def delete(uri: str, namespace: str | None, context: str | None, form: str, *, yes: bool, leftovers: bool) -> None:
    """Delete the model at URI: its manifest, then its objects. Or one added assessment, by its URI.

    Or the guest at URI: its compiled code, then the guest; or one compiled code, by its URI.
    Refused while a revision of the namespace uses it. External data that another model uses is kept.
    """
    if "/" not in uri:
        raise BadSetting("URI", value=uri, allowed="the URI of one model or guest; scalezero models list prints them")
    removal = plan_cleaning(uri) if leftovers else plan_removal(uri)
    used = removal.deleted if leftovers or removal.of_guest else (removal.uri,)
    if removal.uri.startswith("s3:") and used:
        _check_users(removal.uri, used, namespace, context, yes=yes)
    _delete(removal, form)


def _delete(removal: Removal, form: str) -> None:
    remove(removal, progress(form))
    if form != "table":
        click.echo(answer({"deleted": list(removal.deleted), "kept": list(removal.kept)}, form), nl=False)


def _check_users(uri: str, used: Sequence[str], namespace: str | None, context: str | None, *, yes: bool) -> None:
    """Raise `ModelInUse` if one of the objects of the model is used, `UsersUnknown` without a cluster and --yes.

    Raises the errors of the cluster too.
    """
    try:
        cluster = Cluster(context=context, namespace=namespace or namespace_here(None))
    except NoCluster as error:
        if yes:
            return
        raise UsersUnknown(uri, str(error)) from error
    cluster.require_namespace()
    for each, users in model_users(cluster, used).items():
        raise ModelInUse(each, users, namespace=cluster.namespace)


def _root(registry: str, prefix: str | None = None) -> str:
    """Return where to look: PREFIX if it is a URI or an absolute path, else below the registry. Raises `BadSetting`."""
    if not registry:
        raise BadSetting("--registry", value=registry, allowed="s3://bucket, s3://bucket/prefix or a folder")
    if prefix is not None and ("://" in prefix or prefix.startswith("/")):
        return prefix
    return f"{registry.rstrip('/')}/{prefix or ''}"


def _verify(model: str | None, registry: str) -> Iterator[Verification]:
    if model is not None and _is_guest(model):
        yield from verify_guest(_existing_guest(model))
        return
    if model is not None and "/" in model:
        manifest = require_manifest(model)
        yield from verify(manifest, read_assessments(manifest))
        return
    if model is None:
        yield from _verify_all(registry)
        return
    found = entries(registry)
    manifests = [each.manifest for each in found if each.manifest is not None]
    chosen = select(manifests, model)
    if not chosen:
        raise ModelNotPublished(model, registry=registry, known=list(dict.fromkeys(each.title for each in manifests)))
    for each in found:
        if each.manifest in chosen:
            yield from verify(each.manifest, each.added)


def _verify_all(registry: str) -> Iterator[Verification]:
    for each in entries(registry):
        if each.manifest is None:
            yield Verification("-", each.uri, 0, f"its manifest cannot be read: {each.problem}")
        else:
            yield from verify(each.manifest, each.added)
    for guest in guest_entries(registry):
        yield from verify_guest(guest)
