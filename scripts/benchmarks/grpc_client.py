"""Ask a server over gRPC with grpcio: every row must get the answer to its own."""

from typing import Final

from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.grpc_methods import Method
from scripts.benchmarks.servers import Server
from scripts.benchmarks.subjects import Subject

ANSWER_SECONDS: Final = 60.0  # the start of the server included


def check_calls(server: Server, subject: Subject, method: Method) -> bytes:
    """Call for all rows at once, as soon as the server listens; return the message that answers the first row.

    Raises CannotMeasure where a call ends with another status than OK or with other numbers than the model's.
    """
    import grpc

    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = channel.unary_unary(method.path)  # no serializers: bytes go in and come out
        requests = [method.request(subject, row) for row in subject.rows]
        pending = [call.future(each, timeout=ANSWER_SECONDS, wait_for_ready=True) for each in requests]
        try:
            messages: list[bytes] = [each.result() for each in pending]
        except grpc.RpcError as error:
            server.must_run()
            text = f"{error.code().name} {error.details()!r}"
            raise CannotMeasure(f"{server.launch.label}: {method.path} ended with {text}; expected OK") from error
    for index, message in enumerate(messages):
        if not subject.is_right(index, got := method.outputs(message)):
            raise CannotMeasure(f"{server.launch.label}: {method.path} answered row {index} wrongly: {list(got)[:8]}")
    return messages[0]
