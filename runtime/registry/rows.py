"""Whether the rows of a variant are independent, proven at publication with real rows. A pod then need not find out."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runtime.variants.values import RowsProof, RowsState

if TYPE_CHECKING:
    import numpy as np

    from runtime.batching.independence import Verdict
    from runtime.model.signature import Signature

_ROWS: Final = 8  # rows of the data that are used


def prove_rows(
    path: Path,
    inputs: "Mapping[str, np.ndarray]",
    *,
    name: str,
    provider: str,
    batch_size: int,
    source: str,
) -> RowsProof:
    """Return what the file and a proof on real rows show. `inputs` are arrays by the names of inputs, rows first.

    `source` names the data. Raises `InvalidModel` and `ProviderUnavailable` if the file cannot be opened.
    """
    from runtime.batching.independence import AUTO, State, initial_status
    from runtime.batching.proof import prove
    from runtime.model.session import Session
    from runtime.opening import computation_of, evidence_of

    session = Session(path, uri=path.name, name=name, threads=1, provider=provider)
    status = initial_status(AUTO, evidence_of(session), batch_size=max(2, batch_size))
    if status.state is State.REFUTED:
        return RowsProof(state="refuted", reason=status.reason)
    rows = single_rows(session.signature, inputs)
    verdict = prove(session.run, rows, batch_size=max(2, batch_size), steps=computation_of(session).steps)
    return proof_of(verdict, source=source)


def proof_of(verdict: "Verdict", *, source: str) -> RowsProof:
    """Return the verdict of a proof as what a manifest records."""
    from runtime.batching.independence import Outcome

    states: dict[Outcome, RowsState] = {Outcome.PASSED: "proven", Outcome.FAILED: "refuted"}
    reason = verdict.reason.replace("rows of callers", f"rows of the {source} data")
    return RowsProof(state=states.get(verdict.outcome, "not_provable"), reason=reason)


def single_rows(signature: "Signature", inputs: "Mapping[str, np.ndarray]") -> "list[list[np.ndarray]]":
    """Return inputs of one row each, evenly spread over the data, because neighbouring rows may be equal.

    An input that has no axis of rows gets one sample of the data, without the axis of the samples.
    """
    from runtime.optimizing.data import rows_between

    tensors = [inputs[spec.name] for spec in signature.inputs]
    count = len(tensors[0])
    places = sorted({index * (count - 1) // max(1, _ROWS - 1) for index in range(_ROWS)})
    return [rows_between(signature, tensors, place, place + 1) for place in places]
