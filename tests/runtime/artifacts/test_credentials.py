"""Keys from STS and from the agent of a node, asked over real sockets."""

import json
from pathlib import Path

import pytest

from runtime.artifacts.access import s3_access
from runtime.artifacts.credentials import finder
from runtime.artifacts.signature import Keys
from runtime.artifacts.transport import Limits
from runtime.errors import CredentialsMissing
from tests.runtime.artifacts.hostile import Hostile, sending

LIMITS = Limits(stall=1.0, deadline=2.0)
GRANTED = {"AccessKeyId": "AKID", "SecretAccessKey": "SECRET", "Token": "TOKEN", "Expiration": "2999-01-01T00:00:00Z"}
GRANT = (
    b"<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
    b"<AccessKeyId>AKID</AccessKeyId><SecretAccessKey>SECRET</SecretAccessKey><SessionToken>TOKEN</SessionToken>"
    b"</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
)


def answer(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def keys(environ: dict[str, str], tmp_path: Path) -> Keys | None:
    access = s3_access(environ, home=tmp_path)
    return finder(environ, access=access, uri="s3://models", limits=LIMITS)()


def agent(server: Hostile) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{server.url}/v1/credentials?for=pod",
    }


def identity(server: Hostile, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "token").write_text("web-token\n")
    return {
        "AWS_ENDPOINT_URL_STS": server.url,
        "AWS_ROLE_ARN": "arn:aws:iam::1:role/models",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
    }


def test_the_agent_is_asked_with_its_token(tmp_path: Path) -> None:
    (tmp_path / "agent").write_text("agent-token\n")
    with Hostile(sending(answer(json.dumps(GRANTED).encode()))) as server:
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
def test_an_agent_that_gives_no_keys_is_told(tmp_path: Path, body: bytes) -> None:
    with (
        Hostile(sending(answer(body))) as server,
        pytest.raises(CredentialsMissing, match="the agent answered without keys"),
    ):
        keys(agent(server), tmp_path)


def test_sts_gives_keys_for_the_token(tmp_path: Path) -> None:
    with Hostile(sending(answer(GRANT))) as server:
        assert keys(identity(server, tmp_path), tmp_path) == Keys("AKID", "SECRET", "TOKEN")
    assert server.heads[0].startswith("POST / HTTP/1.1\r\n")


def test_sts_that_gives_no_keys_is_told(tmp_path: Path) -> None:
    with (
        Hostile(sending(answer(GRANT.replace(b"SessionToken", b"Other")))) as server,
        pytest.raises(CredentialsMissing, match="STS answered without keys"),
    ):
        keys(identity(server, tmp_path), tmp_path)


def test_sts_that_redirects_gets_the_token_nowhere_else_and_its_echo_is_not_shown(tmp_path: Path) -> None:
    body = b"<Error><Code>InvalidIdentityToken</Code><Message>web-token is bad</Message></Error>"
    with Hostile(sending(answer(GRANT))) as other:
        redirect = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: %s\r\nContent-Length: %d\r\n\r\n%s"
        with (
            Hostile(sending(redirect % (other.url.encode(), len(body), body))) as server,
            pytest.raises(CredentialsMissing, match="the credentials cannot be obtained: 307") as told,
        ):
            keys(identity(server, tmp_path), tmp_path)
    assert other.heads == []
    assert "web-token" not in str(told.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"two\nlines"])
def test_a_token_file_that_holds_no_token_is_told(tmp_path: Path, content: bytes | None) -> None:
    token = tmp_path / "agent"
    if content is not None:
        token.write_bytes(content)
    with Hostile(sending(answer(b"{}"))) as server, pytest.raises(CredentialsMissing) as told:
        keys(agent(server) | {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token)}, tmp_path)
    assert server.heads == []
    assert str(tmp_path) not in str(told.value)


def test_a_token_service_that_is_not_there_is_told(tmp_path: Path) -> None:
    environ = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/"}
    with pytest.raises(CredentialsMissing, match="the credentials cannot be obtained: no connection"):
        keys(environ, tmp_path)


def test_where_nothing_is_to_be_found_requests_go_unsigned(tmp_path: Path) -> None:
    assert keys({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, tmp_path) is None
