"""The companions of a function's main model, as JSON in SCALEZERO_COMPANIONS. Pure.

    ModelVersions ──► Companion ... ──► render_companions ──► the pod's environment ──► parse_companions

A function's main model has a revision for each version. Each other model of the function is a companion: every process
serves it in one version, which the deploy writes into the revision.

    [{"name": "reader", "version": "1.0.0", "uri": "s3://models/reader.onnx", "sha256": "9f86...", "batchSize": 8}]

Fields without a value are left out. Unknown fields are ignored, so an older image starts with the JSON of a newer
command line.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtime.configuration.values import SEGMENT, VERSION_LABEL, is_segment, is_version_label

if TYPE_CHECKING:
    from runtime.variants.json_fields import Read
    from runtime.variants.pinned import PinnedModel

ALLOWED: Final = "the JSON that `scalezero render` prints: a list of objects with name, version and uri"
MAX_BYTES: Final = 120 * 2**10  # of the JSON. Linux allows 128 KiB for one variable
_MAX_ROWS: Final = 4096  # as SCALEZERO_BATCH_SIZE
_MAX_SECONDS: Final = 24 * 3600.0
_MIN_TIMEOUT: Final = 0.001  # seconds


class Companion(NamedTuple):
    """A model that a function's process serves beside its main model, in one version."""

    name: str
    version: str
    uri: str  # of the artifact; in S3 with ?versionId= if the deploy has pinned it
    sha256: str | None = None  # lower-case hex; None: the digest that the publisher recorded
    batch_size: int | None = None  # rows; None: the default of SCALEZERO_BATCH_SIZE
    max_wait: float | None = None  # seconds; None: the default of SCALEZERO_MAX_WAIT_TIME
    timeout: float | None = None  # seconds; None: the default of SCALEZERO_TIMEOUT
    variants: "PinnedModel | None" = None  # what a deploy pins of its variants; None: only the artifact


class Companions(tuple[Companion, ...]):
    """Companions in their order of declaration. Their text is that of the setting."""

    __slots__ = ()

    def __str__(self) -> str:
        """Return the JSON."""
        return render_companions(self)


def render_companions(companions: Iterable[Companion]) -> str:
    """Return the JSON, without spaces. Fields without a value are left out.

    If it is longer than `MAX_BYTES`, the companions with the most variants lose them and serve their artifacts.
    """
    items = list(map(_item, companions))
    while len(text := _text(items)) > MAX_BYTES and any("variants" in each for each in items):
        max(items, key=lambda each: len(_text(each.get("variants", "")))).pop("variants")
    return text


def _text(data: Any) -> str:  # noqa: ANN401 - JSON values
    import json  # as below: the settings are read before a pull starts, and most processes have no companions

    return json.dumps(data, separators=(",", ":"), ensure_ascii=True)


def _item(companion: Companion) -> dict[str, Any]:
    fields = companion._replace(variants=None)._asdict()
    item = {_FIELDS[name]: value for name, value in fields.items() if value is not None}
    if companion.variants is not None:
        from runtime.variants.pinned import as_data

        item["variants"] = as_data(companion.variants)
    return item


def parse_companions(text: str) -> Companions:
    """Parse the JSON. Raises `ValueError` with the place of the field, its value and what is expected."""
    from runtime.variants.json_fields import list_of, loads

    found = Companions(list_of(_companion)(loads(text), ""))
    names = [each.name for each in found]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise _wrong(f"[{index}].name", name, "each name once")
    return found


_FIELDS: Final = {
    "name": "name",
    "version": "version",
    "uri": "uri",
    "sha256": "sha256",
    "batch_size": "batchSize",
    "max_wait": "maxWaitSeconds",
    "timeout": "timeoutSeconds",
}


def _companion(data: Any, at: str) -> Companion:  # noqa: ANN401 - a JSON value
    from runtime.variants.json_fields import digest, field, integer, number, optional, text

    def bounded(read: "Read[Any]", low: float, high: float) -> "Read[Any]":
        expected = f"{low:g} to {high:g}"
        return optional(_checked(read, lambda value: low <= value <= high, expected))

    return Companion(
        name=field(data, at, "name", _checked(text, is_segment, SEGMENT)),
        version=field(data, at, "version", _checked(text, is_version_label, VERSION_LABEL)),
        uri=field(data, at, "uri", _checked(text, bool, "s3://bucket/key, a file:// URI or a path")),
        sha256=field(data, at, "sha256", optional(digest), default=None),
        batch_size=field(data, at, "batchSize", bounded(integer, 1, _MAX_ROWS), default=None),
        max_wait=field(data, at, "maxWaitSeconds", bounded(number, 0, _MAX_SECONDS), default=None),
        timeout=field(data, at, "timeoutSeconds", bounded(number, _MIN_TIMEOUT, _MAX_SECONDS), default=None),
        variants=field(data, at, "variants", optional(_variants), default=None),
    )


def _variants(data: Any, at: str) -> "PinnedModel":  # noqa: ANN401 - as above
    from runtime.variants.pinned import from_data

    try:
        return from_data(data)
    except ValueError as error:
        raise ValueError(f"{at}: {error}") from error


def _checked(read: "Read[Any]", is_valid: Callable[[Any], object], expected: str) -> "Read[Any]":
    def checked(data: Any, at: str) -> Any:  # noqa: ANN401 - as above
        value = read(data, at)
        if not is_valid(value):
            raise _wrong(at, value, expected)
        return value

    return checked


def _wrong(at: str, value: object, expected: str) -> ValueError:
    from runtime.variants.json_fields import wrong

    return wrong(at, value, expected)
