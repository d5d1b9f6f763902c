"""Messages of ManagementAPIsService, with the same meaning as the REST requests."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidInput
from runtime.protocols.protos import torchserve_management_pb2 as pb
from runtime.protocols.torchserve import management_grpc as messages
from runtime.protocols.torchserve.management import Registration, Scaling
from runtime.protocols.torchserve.management_grpc import Version


def test_a_registration_is_parsed() -> None:
    request = pb.RegisterModelRequest(
        url="m.mar", model_name="m", batch_size=4, max_batch_delay=50, initial_workers=1, response_timeout=7
    )
    assert messages.registration(request.SerializeToString()) == Registration(
        "m.mar", "m", 4, 50, 1, response_timeout=7, synchronous=False
    )


def test_empty_texts_and_numbers_that_are_not_positive_are_ignored() -> None:
    request = pb.RegisterModelRequest(url="m.mar", batch_size=-1, max_batch_delay=0, synchronous=True)
    assert messages.registration(request.SerializeToString()) == Registration("m.mar")
    assert messages.describe(pb.DescribeModelRequest(model_name="m").SerializeToString()) == Version("m", None)
    assert messages.page(b"") == (100, 0)
    assert messages.page(pb.ListModelsRequest(limit=2, next_page_token=4).SerializeToString()) == (2, 4)


def test_a_scaling_is_parsed() -> None:
    request = pb.ScaleWorkerRequest(model_name="m", model_version="2.0", min_worker=2, max_worker=3, synchronous=True)
    assert messages.scaling(request.SerializeToString()) == (
        Version("m", "2.0"),
        Scaling(2, 3, synchronous=True, version="2.0"),
    )
    request = pb.ScaleWorkerRequest(model_name="m", min_worker=0, max_worker=0)
    assert messages.scaling(request.SerializeToString()) == (Version("m", None), Scaling())
    with pytest.raises(InvalidInput, match=r"^max_worker: got 1"):
        messages.scaling(pb.ScaleWorkerRequest(model_name="m", min_worker=2, max_worker=1).SerializeToString())


def test_a_default_and_a_removal_name_their_model() -> None:
    assert messages.set_default(pb.SetDefaultRequest(model_name="m", model_version="2").SerializeToString()) == (
        Version("m", "2")
    )
    assert messages.unregister(pb.UnregisterModelRequest(model_name="m").SerializeToString()) == Version("m", None)
    with pytest.raises(InvalidInput, match=r"^model_name: got none"):
        messages.unregister(b"")


def test_the_response_has_the_text() -> None:
    assert pb.ManagementResponse.FromString(messages.response("done")).msg == "done"


@given(st.binary(max_size=40))
def test_any_bytes_are_parsed_or_refused(message: bytes) -> None:
    for read in (
        messages.describe,
        messages.page,
        messages.registration,
        messages.scaling,
        messages.set_default,
        messages.unregister,
    ):
        with suppress(InvalidInput):
            read(message)


def test_an_invalid_message_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^message: got invalid protobuf"):
        messages.describe(b"\xff")
