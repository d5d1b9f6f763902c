"""Health checks of the server, its services and its models, by the same rule as /healthz/ready."""

import pytest
from grpc_health.v1 import health_pb2 as pb

from runtime.errors import InvalidInput, UnknownService
from runtime.frontends.grpc.health import Health
from runtime.service import Service
from runtime.settings import Settings

SERVING, NOT_SERVING = pb.HealthCheckResponse.SERVING, pb.HealthCheckResponse.NOT_SERVING


def check(service: str, *, ready: bool = True) -> int:
    health = Health(Service(Settings(), process_started=0.0), ["a.B"], lambda: ready)
    message = pb.HealthCheckRequest(service=service).SerializeToString()
    status: int = pb.HealthCheckResponse.FromString(health.check(message)).status
    return status


@pytest.mark.parametrize("service", ["", "a.B"])
def test_the_server_and_its_services_are_serving_when_ready(service: str) -> None:
    assert check(service) == SERVING
    assert check(service, ready=False) == NOT_SERVING


def test_an_unknown_service_is_not_found_and_the_error_lists_the_known_ones() -> None:
    with pytest.raises(UnknownService, match=r"service: got 'a\.C'; expected one of a\.B, or an empty name"):
        check("a.C")


@pytest.mark.parametrize("message", [b"\xff", b"\x0a\x05ab", b"\x0a\x02\xff\xff"])
def test_an_invalid_request_is_refused(message: bytes) -> None:
    health = Health(Service(Settings(), process_started=0.0), [], lambda: True)
    with pytest.raises(InvalidInput, match="expected a HealthCheckRequest"):
        health.check(message)


def test_a_message_that_is_too_large_for_a_name_is_not_parsed() -> None:
    """A megabyte of tiny fields would block the event loop."""
    health = Health(Service(Settings(), process_started=0.0), [], lambda: True)
    with pytest.raises(InvalidInput, match="message: got 1000000 bytes; expected at most 4096, for one name"):
        health.check(b"\x10\0" * 500_000)
