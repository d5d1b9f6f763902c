"""The start of `scalezero serve` with OpenVINO chosen, compared with fp32, on ResNet-50 from a real S3 server."""

import json
import os
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

import boto3

from runtime.model.compiling import compile_model
from runtime.settings import OPENVINO_LIBRARY
from runtime.variants.cpu_class import cpu_class
from runtime.variants.pinned import PinnedClass, PinnedFile, PinnedForm, PinnedModel, PinnedVariant, render
from runtime.variants.values import CPU_PROVIDER, OPENVINO_PROVIDER, ORIGINAL
from scripts.benchmarks import launches
from scripts.benchmarks.client import not_ready, send_request, wait_until_correct
from scripts.benchmarks.contest import measure_pairs
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.s3 import BUCKET, publish
from scripts.benchmarks.servers import Server, running

_OPENVINO: Final = "openvino"


def difference(lab: Lab, *, compiled: bool) -> float:
    """Return the median of the differences of pairs of starts, in seconds; `compiled`: the model is in the registry."""
    original = publish(lab.resnet.path, lab.s3)
    forms = (_published_form(lab, original),) if compiled else ()
    library = {name: os.environ[name] for name in (OPENVINO_LIBRARY,) if name in os.environ}
    pins = render(_pins(lab.resnet.path, original, forms))

    def start(environment: Mapping[str, str], variant: str) -> float:
        with tempfile.TemporaryDirectory() as cache:
            launch = launches.ours(lab.resnet, original, cache, {**lab.s3, **environment})
            with running(launch, cpu=lab.server_cpu) as server:
                seconds = wait_until_correct(server, lambda: not_ready(server))
                _check_variant(server, lab.resnet.name, variant)
                return seconds

    def ours() -> float:
        return start({"SCALEZERO_VARIANTS": pins, **library}, _OPENVINO)

    def floor() -> float:
        return start({}, ORIGINAL)

    ours(), floor()  # not counted: the first start compiles the bytecode
    pairs = measure_pairs(lab.guard, lab.rounds, ours=ours, floor=floor)
    return statistics.median(each.ours - each.floor for each in pairs)


def _check_variant(server: Server, name: str, variant: str) -> None:
    """Raise CannotMeasure if another variant is served, because the expected one could not be opened."""
    reply = send_request(server, "GET", f"/api/v1/models/{name}")
    served = json.loads(reply.text).get("serving", {})
    if served.get("variant") != variant:
        raise CannotMeasure(f"expected the variant {variant}; served: {served}")


def _pins(path: Path, uri: str, forms: tuple[PinnedForm, ...]) -> PinnedModel:
    digest = _digest(path)
    variants = (
        PinnedVariant(ORIGINAL, CPU_PROVIDER, "float32", uri, digest),
        PinnedVariant(_OPENVINO, OPENVINO_PROVIDER, "float32", uri, digest, prepared=forms),
    )
    return PinnedModel(variants, {cpu_class(): PinnedClass((_OPENVINO, ORIGINAL))})


def _published_form(lab: Lab, uri: str) -> PinnedForm:
    with tempfile.TemporaryDirectory() as folder, _variables(lab.s3):
        out = Path(folder) / "openvino.compiled.onnx"
        made = compile_model(lab.resnet.path, out, uri=uri, provider=OPENVINO_PROVIDER, threads=1)
        model, *files = (_put(each, f"{lab.resnet.path.name}.variants/") for each in (made.model, *made.files))
        return PinnedForm(model.uri, model.sha256, tuple(files), made.cpu_class, made.provider_version)


def _put(path: Path, prefix: str) -> PinnedFile:
    key = prefix + path.name
    digest = _digest(path)
    boto3.client("s3").upload_file(str(path), BUCKET, key, ExtraArgs={"Metadata": {"sha256": digest}})
    return PinnedFile(f"s3://{BUCKET}/{key}", digest)


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, which boto3 reads, within the block."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
