"""Tests of keys from STS and from the agent of a node, over real sockets."""

import json
from pathlib import Path

import pytest

from runtime.artifacts.access import s3_access
from runtime.artifacts.credentials import make_key_provider
from runtime.artifacts.signature import Keys
from runtime.artifacts.transport import Limits
from runtime.errors import CredentialsMissing, ModelUnavailable, StoreUnreachable
from tests.runtime.artifacts.hostile import HostileServer, send_and_close
from tests.waiting import DEADLINE

LIMITS = Limits(stall=DEADLINE, deadline=DEADLINE)  # each server answers or closes the connection at once
GRANTED = {"AccessKeyId": "AKID", "SecretAccessKey": "SECRET", "Token": "TOKEN", "Expiration": "2999-01-01T00:00:00Z"}
GRANT = (
    b"<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
    b"<AccessKeyId>AKID</AccessKeyId><SecretAccessKey>SECRET</SecretAccessKey><SessionToken>TOKEN</SessionToken>"
    b"</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
)


def response(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def keys(environ: dict[str, str], tmp_path: Path) -> Keys | None:
    access = s3_access(environ, home=tmp_path)
    return make_key_provider(environ, access=access, uri="s3://models", limits=LIMITS)()


def agent(server: HostileServer) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{server.url}/v1/credentials?for=pod",
    }


def identity(server: HostileServer, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "token").write_text("web-token\n")
    return {
        "AWS_ENDPOINT_URL_STS": server.url,
        "AWS_ROLE_ARN": "arn:aws:iam::1:role/models",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
    }


def test_the_request_to_the_agent_has_the_token(tmp_path: Path) -> None:
    (tmp_path / "agent").write_text("agent-token\n")
    with HostileServer(send_and_close(response(json.dumps(GRANTED).encode()))) as server:
        by_file = agent(server) | {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "agent")}
        assert keys(by_file, tmp_path) == Keys("AKID", "SECRET", "TOKEN")
        assert keys(agent(server) | {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "given"}, tmp_path) is not None
        assert keys(agent(server), tmp_path) is not None
    first, second, third = server.heads
    assert first.startswith("GET /v1/credentials?for=pod HTTP/1.1\r\n")
    assert "authorization: agent-token\r\n" in first
    assert "authorization: given\r\n" in second
    assert "authorization" not in third


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"[" * 5000, b'{"AccessKeyId": "a"}', b"\xff"])
def test_a_response_of_the_agent_without_keys_is_an_error(tmp_path: Path, body: bytes) -> None:
    with (
        HostileServer(send_and_close(response(body))) as server,
        pytest.raises(CredentialsMissing, match="the response of the agent has no keys"),
    ):
        keys(agent(server), tmp_path)


def test_sts_returns_keys_for_the_token(tmp_path: Path) -> None:
    with HostileServer(send_and_close(response(GRANT))) as server:
        assert keys(identity(server, tmp_path), tmp_path) == Keys("AKID", "SECRET", "TOKEN")
    assert server.heads[0].startswith("POST / HTTP/1.1\r\n")


def test_a_response_of_sts_without_keys_is_an_error(tmp_path: Path) -> None:
    with (
        HostileServer(send_and_close(response(GRANT.replace(b"SessionToken", b"Other")))) as server,
        pytest.raises(CredentialsMissing, match="the response of STS has no keys"),
    ):
        keys(identity(server, tmp_path), tmp_path)


def test_a_redirect_of_sts_is_not_followed_and_the_token_is_not_shown(tmp_path: Path) -> None:
    body = b"<Error><Code>InvalidIdentityToken</Code><Message>web-token is bad</Message></Error>"
    with HostileServer(send_and_close(response(GRANT))) as other:
        redirect = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: %s\r\nContent-Length: %d\r\n\r\n%s"
        with (
            HostileServer(send_and_close(redirect % (other.url.encode(), len(body), body))) as server,
            pytest.raises(CredentialsMissing, match="the credentials cannot be obtained: 307") as raised,
        ):
            keys(identity(server, tmp_path), tmp_path)
    assert other.heads == []
    assert "web-token" not in str(raised.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"two\nlines"])
def test_a_token_file_without_a_valid_token_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    token = tmp_path / "agent"
    if content is not None:
        token.write_bytes(content)
    with HostileServer(send_and_close(response(b"{}"))) as server, pytest.raises(CredentialsMissing) as raised:
        keys(agent(server) | {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token)}, tmp_path)
    assert server.heads == []
    assert str(tmp_path) not in str(raised.value)


def test_an_agent_that_cannot_be_reached_is_an_error(tmp_path: Path) -> None:
    environ = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/"}
    with pytest.raises(StoreUnreachable, match="the credentials cannot be obtained: no connection") as raised:
        keys(environ, tmp_path)
    assert str(raised.value).endswith(" (at http://127.0.0.1:1, with credentials of the container agent)")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(b"", StoreUnreachable, id="closed"),
        pytest.param(b"HTTP/1.1 200 OK\r\n:\r\n\r\n", StoreUnreachable, id="no HTTP"),
        pytest.param(response(b"", "503 Service Unavailable"), StoreUnreachable, id="fails"),
        pytest.param(response(b"{}"), CredentialsMissing, id="no keys"),
        pytest.param(response(b"<Code>AccessDenied</Code>", "403 Forbidden"), CredentialsMissing, id="denied"),
    ],
)
def test_each_error_names_the_server_and_the_source_but_no_secret(
    tmp_path: Path, answer: bytes, error: type[ModelUnavailable]
) -> None:
    with HostileServer(send_and_close(answer)) as server:
        environ = agent(server) | {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "agent-token"}
        with pytest.raises(error) as raised:
            keys(environ, tmp_path)
        assert str(raised.value).endswith(f" (at {server.url}, with credentials of the container agent)")
        assert not any(secret in str(raised.value) for secret in ("for=pod", "/v1", "agent-token"))
        with pytest.raises(error) as raised:
            keys(identity(server, tmp_path), tmp_path)
        source = "with the web identity in AWS_WEB_IDENTITY_TOKEN_FILE"
        assert str(raised.value).endswith(f" (at {server.url}, {source})")
        assert "web-token" not in str(raised.value)


def test_the_error_for_http_to_a_port_for_tls_names_the_variable_of_the_server(tmp_path: Path) -> None:
    with HostileServer(send_and_close(b"\x15\x03\x01\x00\x02\x02\x0a")) as server:
        advice = f"use {server.url.replace('http', 'https')} in"
        with pytest.raises(StoreUnreachable, match=f"{advice} AWS_CONTAINER_CREDENTIALS_FULL_URI if the server uses"):
            keys(agent(server), tmp_path)
        with pytest.raises(StoreUnreachable, match=f"{advice} AWS_ENDPOINT_URL_STS if the server uses TLS"):
            keys(identity(server, tmp_path), tmp_path)


def test_the_error_for_a_missing_token_names_its_variable_and_the_server_of_aws(tmp_path: Path) -> None:
    environ = {"AWS_REGION": "eu-west-1", "AWS_ROLE_ARN": "arn", "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "none")}
    with pytest.raises(CredentialsMissing) as raised:
        keys(environ, tmp_path)
    reason = "the token file in AWS_WEB_IDENTITY_TOKEN_FILE cannot be read: No such file or directory"
    assert f"{reason} (at https://sts.eu-west-1.amazonaws.com, with the web identity" in str(raised.value)


def test_without_a_source_of_credentials_there_are_no_keys(tmp_path: Path) -> None:
    assert keys({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, tmp_path) is None
