"""`scalezero quantize`: makes and measures the variants of a model on this machine. It publishes nothing."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from runtime.errors import BadSetting
from runtime.variants.options import bounds

if TYPE_CHECKING:
    from knative.resources import ModelVersion, Resources
    from runtime.model.signature import Signature
    from runtime.optimizing import Data, Optimized


class Options(NamedTuple):
    """The options of the command. None: what the resources of a folder state, or the default."""

    calibration: Path | None
    evaluation: Path | None
    out: Path | None
    batch_size: int | None
    max_accuracy_loss: float | None
    min_speedup: float | None
    accept_unjudged: bool
    report: Path | None

    def over(self, declared: "Options") -> "Options":
        """Return these options, with those of a folder's resources where there is none."""
        stated: dict[str, Any] = {name: value for name, value in self._asdict().items() if value is not None}
        return declared._replace(**stated)


class Subject(NamedTuple):
    """A model to optimize."""

    name: str
    path: Path
    options: Options
    calibration: Mapping[str, Any] | None = None  # arrays that train.py returned, by name
    evaluation: Mapping[str, Any] | None = None


def _path(name: str, text: str, **kind: bool) -> Callable[[Any], Any]:
    return click.option(name, type=click.Path(path_type=Path, **kind), help=text)


@click.command("quantize")
@click.argument("target", metavar="MODEL.onnx|FOLDER", type=click.Path(exists=True, path_type=Path))
@_path("--calibration", "Rows from which the ranges of values are taken: an .npz file.", exists=True, dir_okay=False)
@_path("--evaluation", "Rows to judge on, with labels if there are any: .npz.", exists=True, dir_okay=False)
@_path("--out", "Folder for the files and the report.  [default: NAME.variants]", file_okay=False)
@bounds(declared=True)
@_path("--report", "File (.png) or folder for the plot.  [default: report.png in --out]")
@click.option("-o", "--output", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(target: Path, form: str, **given: Any) -> None:  # noqa: ANN401 - each option has its own type
    """Make int8 variants of a model, measure them on this machine, and choose the fastest within the bounds.

    For a function's FOLDER, train.py makes the models, and may return the data. Nothing is published.
    """
    from runtime.optimizing.plot import require_matplotlib
    from runtime.registry.interruption import ended_by_sigterm

    require_matplotlib()
    options = Options(**given)
    aside = redirect_stdout(sys.stderr) if form == "json" else nullcontext()  # train.py may print
    with ended_by_sigterm(), aside, TemporaryDirectory(prefix="scalezero-") as trained:
        subjects = list(_trained(target, options, Path(trained))) if target.is_dir() else [_file(target, options)]
        results = [_optimize(each, only=len(subjects) == 1, form=form) for each in subjects]
    if form == "json":
        click.echo(json.dumps(results if target.is_dir() else results[0], indent=2))


def _file(path: Path, options: Options) -> Subject:
    return Subject(path.stem, path, options)


def _trained(folder: Path, options: Options, out: Path) -> Iterator[Subject]:
    """Train each ModelVersion of the folder."""
    from knative.function.training import CALIBRATION, EVALUATION, TRAINER, data_of, refuse_ambiguous, train_version
    from knative.resources import read_resources

    resources = read_resources(folder)
    refuse_ambiguous(folder / TRAINER, resources.model_versions, resources.model_versions)
    for version in resources.model_versions:
        name = f"{version.spec.model_name}-{version.spec.version}"
        click.echo(f"{version.title}: training", err=True)
        place = out / name
        place.mkdir()
        trained = train_version(folder, version, place)
        stated = options.over(_declared(folder, resources, version, options))
        yield Subject(
            name,
            trained.path,
            stated,
            calibration=data_of(trained, CALIBRATION, folder),
            evaluation=data_of(trained, EVALUATION, folder),
        )


def _declared(folder: Path, resources: "Resources", version: "ModelVersion", options: Options) -> Options:
    """Return what the ModelOptimization and InferenceConfig of a model state, without data that `options` have.

    Raises `BadSetting` for data in S3.
    """
    model = version.spec.model_name
    config, optimization = resources.config_of(model), resources.optimization_of(model)
    rules = optimization.spec.quantization if optimization else None
    return Options(
        calibration=_local(folder, rules.calibration, "calibration") if rules and not options.calibration else None,
        evaluation=_local(folder, rules.evaluation, "evaluation") if rules and not options.evaluation else None,
        out=None,
        batch_size=config.spec.batch_size if config else None,
        max_accuracy_loss=rules.max_accuracy_loss if rules else None,
        min_speedup=rules.min_speedup if rules else None,
        accept_unjudged=False,
        report=None,
    )


def _local(folder: Path, source: str | None, field: str) -> Path | None:
    """Return the path of a declared .npz file. Raises `BadSetting` for one in S3, which only publishing reads."""
    if source is not None and source.startswith("s3://"):
        raise BadSetting(field, value=source, allowed=f"a file on this machine; download it and pass --{field} FILE")
    return None if source is None else folder / source


def _optimize(subject: Subject, *, only: bool, form: str) -> dict[str, Any]:
    """Optimize one model, write its files and report, and print the table. Return the JSON document."""
    from runtime.optimizing import optimize, signature_of
    from runtime.optimizing.report import document, plot_place, save
    from runtime.registry import optimization_of
    from runtime.registry.terminal import steps_bar

    options = subject.options
    asked = optimization_of(
        batch_size=options.batch_size,
        max_accuracy_loss=options.max_accuracy_loss,
        min_speedup=options.min_speedup,
        accept_unjudged=options.accept_unjudged,
    )
    signature = signature_of(subject.path, name=subject.name)
    out = options.out or Path(f"{subject.name}.variants")
    out = out if only or options.out is None else out / subject.name
    with steps_bar(subject.name) as progress:
        found = optimize(
            subject.path,
            out=out,
            calibration=_data(options.calibration, subject.calibration, signature, "calibration"),
            evaluation=_data(options.evaluation, subject.evaluation, signature, "evaluation"),
            bounds=asked.bounds,
            batch_size=asked.batch_size,
            name=subject.name,
            progress=progress,
        )
    plot = plot_place(options.report, out, only=only)
    save(found, out=out, plot=plot, name=subject.name)
    if form == "table":
        _print(subject.name, found, out=out, plot=plot)
    return document(found, name=subject.name)


def _data(file: Path | None, arrays: Mapping[str, Any] | None, signature: "Signature", field: str) -> "Data | None":
    """Return the data of a file, else what train.py returned; None: there is none."""
    from runtime.optimizing import data_from, read_data

    if file is not None:
        return read_data(file, signature)
    return None if arrays is None else data_from(arrays, signature, source=f"train.py: {field}")


def _print(name: str, found: "Optimized", *, out: Path, plot: Path) -> None:
    from knative.commands.models_output import show_assessment

    click.echo(f"{name}:")
    show_assessment(found.assessment)
    for each in found.candidates:
        click.echo(f"{each.name}: {each.path}")
    click.echo(f"report: {out / 'report.json'}, {plot}")
