"""The parts of a model's events that do not change: names, datatypes, attributes. Built once for each model version."""

from typing import TYPE_CHECKING, NamedTuple

import orjson

from runtime.protocols.open_inference.datatypes import datatype

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.model.signature import Signature
    from runtime.prediction_log.envelope import Envelope
    from runtime.tensors import TensorSpec
    from runtime.variants.choosing import Serving


class Heads(NamedTuple):
    """The constant parts. It does not refer to the loaded model, which may be removed while the log keeps an entry."""

    signature: "Signature"
    start: bytes  # of the data, up to the facts of one prediction
    inputs: "Sequence[bytes]"  # the start of each tensor, up to its shape
    outputs: "Sequence[bytes]"
    envelope: "Envelope"


def start(name: str, version: str, facts: "Mapping[str, object]") -> bytes:
    """Return the start of the data; `facts` are about the process and the variant."""
    known = {key: value for key, value in facts.items() if value is not None}
    document = {"model_name": name, "model_version": version, "parameters": known}
    return orjson.dumps(document)[:-2] + (b"," if known else b"")


def variant_facts(serving: "Serving") -> "Mapping[str, object]":
    """Return which variant of the model is served."""
    candidate = serving.candidate
    return {"variant": candidate.variant, "provider": candidate.provider, "precision": candidate.precision}


def tensor_starts(specs: "Sequence[TensorSpec]") -> "Sequence[bytes]":
    """Return the start of each tensor, up to its shape."""
    return [
        orjson.dumps({"name": spec.name, "datatype": datatype(spec) or spec.datatype})[:-1] + b',"shape":'
        for spec in specs
    ]
