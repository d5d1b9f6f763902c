"""Where the objects of a model are that are published with its artifact. Pure.

    URI.onnx.manifest.json                    its manifest
    URI.onnx.variants/NAME-DIGEST/model.onnx  a variant, or a prepared form, with its external data beside it
    URI.onnx.assessments/CPU_CLASS.json       an added assessment; later ones of the class: CPU_CLASS-2.json, ...

The digest is that of all files in the folder. So two publishers whose variants have different bytes write different
objects, and the manifest decides which are the model's. All objects below the two folders belong to the artifact.
"""

import re
from collections.abc import Collection, Iterable
from hashlib import sha256
from typing import Final

SUFFIX: Final = ".manifest.json"
MAX_BYTES: Final = 4 * 2**20  # of a manifest or an assessment; a signature and variants take a few KiB
VARIANTS: Final = ".variants/"
ASSESSMENTS: Final = ".assessments/"
_MODEL: Final = "model.onnx"
_MADE: Final = re.compile(r"(\.onnx)\.(variants|assessments)/", re.IGNORECASE)
_DIGITS: Final = 12  # of a digest in a name: 48 bits
# Bytes after the artifact's key. A prepared form's external data has the longest names:
# .variants/int8-static-u8s8-openvino-compiled-CPU_CLASS-DIGEST/int8-static-u8s8-openvino_OpenVINOExecutionProvider.bin
LONGEST_SUFFIX: Final = 192


def manifest_uri(uri: str) -> str:
    """Return the URI of the manifest of the artifact at a URI."""
    return uri + SUFFIX


def may_have_variants(uri: str) -> bool:
    """Whether the name of an artifact shows in the names of its folders that they are not those of a user."""
    return uri.lower().endswith(".onnx")


def variants_folder(uri: str) -> str:
    """Return the folder of all variants and prepared forms of the artifact at a URI."""
    return uri + VARIANTS


def assessments_folder(uri: str) -> str:
    """Return the folder of the added assessments of the artifact at a URI."""
    return uri + ASSESSMENTS


def form_uri(uri: str, name: str, digests: Iterable[tuple[str, str]]) -> str:
    """Return the URI of the model file of a variant or a prepared form.

    `digests` are the SHA-256 of each of its files by the file's name in the folder.
    """
    whole = sha256("".join(f"{sha} {name}\n" for name, sha in sorted(digests)).encode())
    return f"{variants_folder(uri)}{name}-{whole.hexdigest()[:_DIGITS]}/{_MODEL}"


def assessment_uri(uri: str, cpu_class: str, existing: Collection[str]) -> str:
    """Return the URI of the next assessment of a CPU class, beside the existing objects."""
    base, number = f"{assessments_folder(uri)}{cpu_class}", 1
    while (place := f"{base}{'' if number == 1 else f'-{number}'}.json") in existing:
        number += 1
    return place


def is_assessment(place: str) -> bool:
    """Whether the object is below the folder of the added assessments of an artifact."""
    artifact = owner(place)
    return artifact is not None and place.startswith(assessments_folder(artifact))


def is_assessment_of(place: str, cpu_class: str) -> bool:
    """Whether the object at a URI is an assessment of the CPU class, by its name."""
    return re.fullmatch(re.escape(cpu_class) + r"(-[0-9]+)?\.json", place.rpartition("/")[2]) is not None


def owner(place: str) -> str | None:
    """Return the URI of the artifact that an object was made from, by its folder; None: it is in no such folder."""
    start = place.find("/", place.find("://") + 3) if "://" in place else 0  # after the bucket
    found = _MADE.search(place, max(start, 0))
    return found and place[: found.end(1)]
