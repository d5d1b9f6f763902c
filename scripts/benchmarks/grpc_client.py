"""Calls a server over gRPC with grpcio, and checks that every row gets its own answer."""

from typing import Final

from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.grpc_methods import Method
from scripts.benchmarks.servers import Server
from scripts.benchmarks.subjects import Subject

ANSWER_SECONDS: Final = 60.0  # including the start of the server


def check_calls(server: Server, subject: Subject, method: Method) -> bytes:
    """Call the method for all rows at once when the server listens. Return the answer to the first row.

    Raises CannotMeasure if a call ends with a status other than OK, or with numbers other than the model's.
    """
    import grpc

    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = channel.unary_unary(method.path)  # without serializers, requests and responses are bytes
        requests = [method.request(subject, row) for row in subject.rows]
        pending = [call.future(each, timeout=ANSWER_SECONDS, wait_for_ready=True) for each in requests]
        try:
            messages: list[bytes] = [each.result() for each in pending]
        except grpc.RpcError as error:
            server.raise_if_exited()
            text = f"{error.code().name} {error.details()!r}"
            raise CannotMeasure(f"{server.launch.label}: {method.path} ended with {text}; expected OK") from error
    for index, message in enumerate(messages):
        if not subject.is_correct(index, got := method.outputs(message)):
            raise CannotMeasure(f"{server.launch.label}: {method.path} answered row {index} wrongly: {list(got)[:8]}")
    return messages[0]
