"""A published model with variants in a real S3, behind a server that injects faults, and what a deploy pins of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from runtime.settings import Settings
from runtime.variants.cpu_class import cpu_class
from runtime.variants.names import CPU_PROVIDER, ORIGINAL
from runtime.variants.pinned import (
    PinnedClass,
    PinnedCost,
    PinnedFile,
    PinnedForm,
    PinnedModel,
    PinnedRows,
    PinnedVariant,
)
from runtime.variants.values import Assessment
from tests import models
from tests.assessments import timed
from tests.runtime.faulty_s3 import FaultyS3
from tests.s3_server import S3Server

WIDTH = 4


def times(path: Path, factor: float) -> Path:
    """Write a model with `y` = `factor` times `x`, float32 [batch, 4]: its answers tell which file is served."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = ("batch", WIDTH)
    node = helper.make_node("Mul", ["x", "k"], ["y"])
    inputs, outputs = [models.value("x", models.FLOAT, shape)], [models.value("y", models.FLOAT, shape)]
    return models.save(path, [node], inputs, outputs, k=np.full(WIDTH, factor, np.float32))


def with_external_data(path: Path) -> Path:
    """Move the weights of a model to `NAME.data` beside it."""
    onnx.save(onnx.load(path), path, save_as_external_data=True, location=f"{path.name}.data", size_threshold=0)
    return path


def measured(chosen: str, *, at: str = "2026-01-01", cpu: str | None = None) -> Assessment:
    """Return an assessment of a CPU class, by default of this machine, in which a variant is twice as fast."""
    seconds = {ORIGINAL: 2.0, chosen: 1.0}
    return timed(seconds, chosen=chosen, cpu_class=cpu or cpu_class(), measured_at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A model in S3: the original doubles its input. Each variant has its own factor."""

    folder: Path  # for files on their way to S3
    s3: S3Server
    faulty: FaultyS3
    bucket: str

    @property
    def uri(self) -> str:
        """The URI of the artifact."""
        return f"s3://{self.bucket}/m.onnx"

    def put(self, name: str, factor: float, *, external: bool = False) -> tuple[str, str, tuple[PinnedFile, ...]]:
        """Store a model; return its URI, its digest, and its external data."""
        path = times(self.folder / name.replace("/", "-"), factor)
        files: tuple[PinnedFile, ...] = ()
        if external:
            with_external_data(path)
            data = path.with_name(f"{path.name}.data")
            place = f"{name.rpartition('/')[0]}/{data.name}"
            files = (self.store(place, data.read_bytes()),)
        uri, digest = self.store(name, path.read_bytes())
        return uri, digest, files

    def store(self, name: str, body: bytes) -> PinnedFile:
        """Store bytes; return their URI and their digest."""
        self.s3.put(f"s3://{self.bucket}/{name}", body)
        return PinnedFile(f"s3://{self.bucket}/{name}", sha256(body).hexdigest())

    def original(self, *forms: PinnedForm, rows: PinnedRows | None = None) -> PinnedVariant:
        """Store the original; pin it with these prepared forms."""
        uri, digest, _ = self.put("m.onnx", 2)
        return PinnedVariant(ORIGINAL, CPU_PROVIDER, "float32", uri, digest, prepared=forms, rows=rows)

    def variant(
        self, name: str, factor: float, *forms: PinnedForm, provider: str = CPU_PROVIDER, rows: PinnedRows | None = None
    ) -> PinnedVariant:
        """Store a variant; pin it."""
        uri, digest, files = self.put(f"m.onnx.variants/{name}.onnx", factor)
        return PinnedVariant(name, provider, "int8", uri, digest, files, forms, rows)

    def form(self, name: str, factor: float) -> PinnedForm:
        """Store a prepared form, with external data."""
        return PinnedForm(*self.put(f"m.onnx.variants/{name}.prepared.onnx", factor, external=True))

    def pinned(self, *variants: PinnedVariant, costs: Mapping[str, PinnedCost] | None = None) -> PinnedModel:
        """Pin the variants after the original, in their order on the class of this machine."""
        ranking = (*(each.name for each in variants[1:]), ORIGINAL)
        return PinnedModel(variants, {cpu_class(): PinnedClass(ranking, costs or {})})

    def settings(self, pinned: PinnedModel | None, **more: object) -> Settings:
        """Return the settings of a pod with these pins."""
        return Settings(
            model_uri=self.uri,
            model_sha256=pinned.original.sha256 if pinned else None,
            model_version="1",
            cache_dir=self.folder / "cache",
            threads=1,
            variants=pinned,
            **more,  # type: ignore[arg-type] # any setting
        )

    def pulled(self) -> Sequence[str]:
        """Return the names of the objects whose bytes were sent, in order."""
        return [each.path.removeprefix(f"/{self.bucket}/") for each in self.faulty.seen if each.status in {200, 206}]
