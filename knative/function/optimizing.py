"""The faster variants that a ModelOptimization asks for: made at publication, or measured later on another CPU.

ModelOptimization, what train.py returned ──► Optimization ──► publish_model       of a model that is not published yet
                                                          └──► add_assessment      of one that was not measured here

A published model is served with or without variants, so a measurement that fails later is only reported.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from knative.function.pins import ReadVariants
from knative.function.training import CALIBRATION, EVALUATION, TrainedModel, data_of
from knative.resources import ModelOptimization, ModelVersion, Resources
from knative.resources.inference_config import InferenceConfigSpec
from knative.resources.model_optimization import Quantization, place_of
from knative.resources.optimized import condition_of
from runtime.errors import DiskFull, ScalezeroError, StoreUnreachable
from runtime.published.places import may_have_variants
from runtime.registry import (
    AlreadyPublished,
    DataSource,
    Optimization,
    OtherManifest,
    Publication,
    Published,
    Watch,
    add_assessment,
    publish_model,
    published_variants,
)
from runtime.registry.terminal import steps_bar
from runtime.variants import cpu_class
from runtime.variants.bounds import Bounds
from runtime.variants.values import Assessment

Report = Callable[[str], None]  # gets one line
_NOT_OF_VARIANTS = (AlreadyPublished, OtherManifest, DiskFull, StoreUnreachable)  # a publication without them fails too

NOT_ONNX = "variants are made only of a model whose storage.path ends with .onnx"
_NO_DATA = (
    f"there is no evaluation data; state {EVALUATION} in the ModelOptimization, or return it from train.py as the "
    f"attribute {EVALUATION}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizing:
    """Publishes and measures the models of one folder, as its resources ask for it."""

    resources: Resources
    folder: Path
    report: Report
    variants: ReadVariants = published_variants
    cpu_class: Callable[[], str] = cpu_class.cpu_class

    def publish(
        self, version: ModelVersion, trained: TrainedModel, publication: Publication, *, watch: Watch | None
    ) -> Published:
        """Publish a trained model, with variants if the resources ask for them. Raises as `publish_model`.

        If the variants cannot be made, the model is published without them, which is reported.
        """
        resource = self._asked_for(version)
        send = partial(publish_model, trained.path, self._uri(version), publication, watch=watch, tell=self.report)
        if resource is None:
            if self._enabled(version) is not None:
                self.report(f"{version.title}: published without faster variants: {NOT_ONNX}")
            return send()
        from runtime.optimizing.values import NoSpaceLeft

        try:
            published = send(optimization=self._optimization(version, resource, trained), steps=steps_bar)
        except (*_NOT_OF_VARIANTS, NoSpaceLeft):
            raise
        except ScalezeroError as error:
            published = send()
            self.report(f"{version.title}: published without faster variants: {error}")
            return published
        if published.assessment is not None:
            self._report_condition(version, resource, published.assessment)
        return published

    def is_asked_for(self, version: ModelVersion) -> bool:
        """Whether the resources ask for faster variants of a version, and its URI allows them."""
        return self._asked_for(version) is not None

    def lacks_measurement(self, version: ModelVersion) -> bool:
        """Whether a published model has to be measured on this CPU class. Raises the errors of the registry."""
        resource = self._asked_for(version)
        if resource is None:
            return False
        published, assessments = self.variants(self._uri(version))
        here = [each for each in assessments if each.cpu_class == self.cpu_class()]
        return bool(published) and needs_measurement(here, resource.spec.quantization)

    def measure(self, version: ModelVersion, train: Callable[[], AbstractContextManager[TrainedModel]] | None) -> None:
        """Measure a published model on this CPU class, if that is asked for and was not done.

        `train` trains the version again, for data that no file has; None: the folder has no train.py. A failure is only
        reported.
        """
        resource = self._asked_for(version)
        try:
            if resource is None or not self.lacks_measurement(version):
                return
            quantization = resource.spec.quantization
            if quantization.evaluation is None and train is None:
                self.report(f"{version.title}: not measured on {self.cpu_class()}: {_NO_DATA}")
                return
            if train is None or (quantization.calibration and quantization.evaluation):
                self._add(version, resource, None)
                return
            from runtime.optimizing.making import require_tools

            require_tools(version.spec.model_name)  # a training for nothing may take long
            self.report(f"{version.title}: training it again, for its calibration and evaluation data")
            with train() as trained:
                self._add(version, resource, trained)
        except (ScalezeroError, ModuleNotFoundError, OSError) as error:
            self.report(f"{version.title}: not measured on {self.cpu_class()}: {error}")

    def _add(self, version: ModelVersion, resource: ModelOptimization, trained: TrainedModel | None) -> None:
        self.report(f"{version.title}: making and measuring its variants on {self.cpu_class()}")
        asked = self._optimization(version, resource, trained)
        added = add_assessment(self._uri(version), asked, again=True, steps=steps_bar, tell=self.report)
        self._report_condition(version, resource, added.assessment)

    def _enabled(self, version: ModelVersion) -> ModelOptimization | None:
        return self.resources.enabled_optimization_of(version.spec.model_name)

    def _asked_for(self, version: ModelVersion) -> ModelOptimization | None:
        return self._enabled(version) if may_have_variants(self._uri(version)) else None

    def _optimization(
        self, version: ModelVersion, resource: ModelOptimization, trained: TrainedModel | None
    ) -> Optimization:
        declared = resource.spec.quantization
        config = self.resources.config_of(version.spec.model_name)
        return Optimization(
            bounds=Bounds(declared.max_accuracy_loss, declared.min_speedup),
            calibration=self._data(declared.calibration, CALIBRATION, trained),
            evaluation=self._data(declared.evaluation, EVALUATION, trained),
            batch_size=(config.spec if config else InferenceConfigSpec()).batch_size,
        )

    def _data(self, declared: str | None, attribute: str, trained: TrainedModel | None) -> DataSource | None:
        if declared is not None:
            return place_of(declared, self.folder)
        return None if trained is None else data_of(trained, attribute, self.folder)

    def _report_condition(self, version: ModelVersion, resource: ModelOptimization, assessment: Assessment) -> None:
        condition = condition_of(assessment, resource)
        what = f"{assessment.chosen} is served on {assessment.cpu_class}: {assessment.reason}"
        self.report(f"{version.title}: {what} ({condition.type}={condition.status}, {condition.reason})")

    def _uri(self, version: ModelVersion) -> str:
        return version.spec.storage.uri(self.folder)


def needs_measurement(here: list[Assessment], declared: Quantization) -> bool:
    """Whether a model has to be measured on a CPU class that has these assessments.

    Once is enough, unless evaluation data was declared after a measurement without any.
    """
    return not here or (declared.evaluation is not None and all(each.metric is None for each in here))
