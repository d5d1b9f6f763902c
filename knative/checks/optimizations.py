"""Rules about the variants of a model: whether they are measured, what is served in place of int8, and the image."""

from collections.abc import Iterator
from typing import Final

from knative.checks.finding import Finding, advice, warning
from knative.checks.flavours import OPENVINO
from knative.checks.subject import Artifact, Served, Subject
from knative.function.optimizing import NOT_ONNX
from knative.resources import ModelOptimization
from knative.resources.optimized import condition_of
from runtime.published.places import may_have_variants
from runtime.variants.values import OPENVINO_PROVIDER

OPENVINO_NOT_IN_IMAGE: Final = advice(
    "openvino-not-in-image", "Pods without OpenVINO serve the next variant that they can open."
)
OPTIMIZATION_NOT_INT8: Final = advice(
    "optimization-not-int8", "int8 is served only if it is faster than all other variants and within the bounds."
)
OPTIMIZATION_NOT_MEASURED: Final = advice(
    "optimization-not-measured", "Without measurements pods serve the original model."
)
OPTIMIZATION_OUTSIDE_BOUNDS: Final = warning(
    "optimization-outside-bounds", "Pods serve what was chosen at the measurement, whatever the bounds are now."
)

RULES: Final = (OPENVINO_NOT_IN_IMAGE, OPTIMIZATION_NOT_INT8, OPTIMIZATION_NOT_MEASURED, OPTIMIZATION_OUTSIDE_BOUNDS)

_MEASURE: Final = "on {cpu_class}: scalezero models measure {uri} --again --calibration FILE --evaluation FILE"
_BOUNDS: Final = " --max-accuracy-loss {declared.max_accuracy_loss:g} --min-speedup {declared.min_speedup:g}"
_FIXES: Final = {
    "AccuracyLossTooLarge": "nothing to do; or, if the loss is acceptable, raise maxAccuracyLoss and run "
    "on {cpu_class}: scalezero models measure {uri} --again with it and the data",
    "AccuracyNotJudged": f"state evaluation in the ModelOptimization and publish the folder again, or run {_MEASURE}",
    "OutsideBounds": f"run {_MEASURE}{_BOUNDS}, or restore the bounds",
}
_NOTHING: Final = "nothing to do"


def check(subject: Subject) -> Iterator[Finding]:
    """Check the variants of each published model, as far as the registry was asked for them."""
    for served in subject.served():
        yield from _name(subject, served)
        artifact = subject.facts.artifacts.get(str(served.settings.model_uri))
        if artifact is None or not artifact.is_described:
            continue
        yield from _image(subject, served, artifact)
        if (resource := _enabled(subject, served)) is not None and may_have_variants(_uri(served)):
            yield from _optimization(subject, served, artifact, resource)


def _enabled(subject: Subject, served: Served) -> ModelOptimization | None:
    return subject.resources.enabled_optimization_of(served.version.spec.model_name)


def _uri(served: Served) -> str:
    return served.version.spec.storage.path


def _name(subject: Subject, served: Served) -> Iterator[Finding]:
    """Report a ModelOptimization that has no effect because of the name of the artifact."""
    if _enabled(subject, served) is not None and not may_have_variants(_uri(served)):
        what = f"{served.version.metadata.name}: {NOT_ONNX}, and this is {_uri(served)}"
        fix = "publish the model under a URI that ends with .onnx, or set enabled: false"
        where = subject.place(served.version, "spec", "storage", "path")
        yield OPTIMIZATION_NOT_MEASURED.finding(what, fix=fix, where=where)


def _optimization(
    subject: Subject, served: Served, artifact: Artifact, resource: ModelOptimization
) -> Iterator[Finding]:
    where = subject.place(resource, "spec", "quantization", "enabled")
    name, uri = served.version.metadata.name, str(served.settings.model_uri)
    if not artifact.assessments:
        what = f"{name}: the variants of {uri} are not measured"
        fix = f"run scalezero publish with the folder, or scalezero models measure {uri}"
        yield OPTIMIZATION_NOT_MEASURED.finding(what, fix=fix, where=where)
    for each in artifact.assessments:
        condition = condition_of(each, resource)
        if condition.status != "True":
            fix = _FIXES.get(condition.reason, _NOTHING).format(
                uri=uri, cpu_class=each.cpu_class, declared=resource.spec.quantization
            )
            rule = OPTIMIZATION_OUTSIDE_BOUNDS if condition.reason == "OutsideBounds" else OPTIMIZATION_NOT_INT8
            yield rule.finding(f"{name}: {condition.reason}: {condition.message}", fix=fix, where=where)


def _image(subject: Subject, served: Served, artifact: Artifact) -> Iterator[Finding]:
    """Report variants on OpenVINO, if the name of the image does not say that it contains OpenVINO."""
    chosen = [each.name for each in artifact.chosen if each.provider == OPENVINO_PROVIDER]
    if chosen and OPENVINO.is_another(subject):
        needed = f"{served.version.metadata.name}: {', '.join(chosen)} needs OpenVINO"
        what = f"{needed}, which {subject.options.image} does not name"
        yield OPENVINO_NOT_IN_IMAGE.finding(what, fix=OPENVINO.fix, where=subject.place_of_image())
