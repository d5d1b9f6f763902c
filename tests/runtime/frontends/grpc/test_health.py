"""Health checks: the server, its services and its models, by the readiness that /healthz/ready tells."""

import pytest
from grpc_health.v1 import health_pb2 as pb

from runtime.errors import InvalidInput, UnknownService
from runtime.frontends.grpc.health import Health
from runtime.service import Service
from runtime.settings import Settings

SERVING, NOT_SERVING = pb.HealthCheckResponse.SERVING, pb.HealthCheckResponse.NOT_SERVING


def asked(service: str, *, ready: bool = True) -> int:
    health = Health(Service(Settings(), process_started=0.0), ["a.B"], lambda: ready)
    message = pb.HealthCheckRequest(service=service).SerializeToString()
    status: int = pb.HealthCheckResponse.FromString(health.check(message)).status
    return status


@pytest.mark.parametrize("service", ["", "a.B"])
def test_the_server_and_its_services_serve_when_traffic_may_come(service: str) -> None:
    assert asked(service) == SERVING
    assert asked(service, ready=False) == NOT_SERVING


def test_what_is_not_here_is_not_found_and_what_is_here_is_listed() -> None:
    with pytest.raises(UnknownService, match=r"service: got 'a\.C'; expected one of a\.B, or an empty name"):
        asked("a.C")


@pytest.mark.parametrize("message", [b"\xff", b"\x0a\x05ab", b"\x0a\x02\xff\xff"])
def test_what_is_no_request_is_refused(message: bytes) -> None:
    health = Health(Service(Settings(), process_started=0.0), [], lambda: True)
    with pytest.raises(InvalidInput, match="expected a HealthCheckRequest"):
        health.check(message)


def test_a_message_is_not_searched_where_it_is_too_large_for_a_name() -> None:
    """A megabyte of tiny fields would hold the event loop."""
    health = Health(Service(Settings(), process_started=0.0), [], lambda: True)
    with pytest.raises(InvalidInput, match="message: got 1000000 bytes; expected at most 4096, for one name"):
        health.check(b"\x10\0" * 500_000)
