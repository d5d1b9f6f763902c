"""The connection to a cluster: how it is selected, and the errors without one."""

import json
import socket
import ssl
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from knative.api.connection import Connection
from knative.api.errors import (
    BadKubeconfig,
    ClusterError,
    ClusterUnreachable,
    NoAnswerInTime,
    NoCluster,
    WrongContext,
)

Write = Callable[..., dict[str, str]]
EXEC = "client.authentication.k8s.io/v1"


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Write:
    """Return a function that writes a kubeconfig with a context for each user, and returns the environment."""

    def write(
        server: str = "http://127.0.0.1:1", current: str | None = "mine", **users: Mapping[str, object]
    ) -> dict[str, str]:
        users = users or {"mine": {"token": "t"}}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": name, "user": user} for name, user in users.items()],
            "contexts": [{"name": name, "context": {"cluster": "c", "user": name}} for name in users],
            **({"current-context": current} if current else {}),
        }
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(config))
        return {"KUBECONFIG": str(file)}

    return write


@contextmanager
def answering(handle: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Start an HTTP server and yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            handle(self)

        def log_message(self, *_: object) -> None:
            """Disable the log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def send(answer: BaseHTTPRequestHandler, status: int, body: bytes = b"{}", **headers: str) -> None:
    answer.send_response(status)
    for name, value in {"content-length": str(len(body)), **headers}.items():
        answer.send_header(name.replace("_", "-"), value)
    answer.end_headers()
    answer.wfile.write(body)


def test_the_context_flag_overrides_the_current_context(kubeconfig: Write) -> None:
    environ = kubeconfig("http://127.0.0.1:1/", mine={"token": "t"}, other={"token": "t"})
    default, selected = Connection(None, environ), Connection("other", environ)
    assert (default.context, default.address, default.namespace) == ("mine", "http://127.0.0.1:1", "default")
    assert selected.context == "other"


def test_the_namespace_of_the_context_is_the_default(kubeconfig: Write) -> None:
    file = Path(kubeconfig()["KUBECONFIG"])
    file.write_text(file.read_text().replace("user: mine", "user: mine\n    namespace: shop"))
    assert Connection(None, {"KUBECONFIG": str(file)}).namespace == "shop"


@pytest.mark.parametrize(
    ("current", "context", "sentence"),
    [
        ("mine", "wrong", r"no context 'wrong' in .*kubeconfig; available: mine$"),
        ("wrong", None, r"no context 'wrong' in .*kubeconfig; available: mine$"),
        (None, None, r"kubeconfig has no current context; select one: --context; available: mine$"),
    ],
)
def test_the_error_for_an_unknown_context_lists_the_available_contexts(
    kubeconfig: Write, current: str | None, context: str | None, sentence: str
) -> None:
    with pytest.raises(WrongContext, match=sentence):
        Connection(context, kubeconfig(current=current))


def test_a_missing_kubeconfig_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoCluster, match=r"no cluster is configured: .*/none does not exist; set KUBECONFIG"):
        Connection(None, {"KUBECONFIG": str(tmp_path / "none")})


def test_a_pod_without_a_service_account_is_an_error(tmp_path: Path) -> None:
    environ = {"KUBECONFIG": str(tmp_path / "none"), "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    with pytest.raises(BadKubeconfig, match="in-cluster cannot be used: Service host/port is not set"):
        Connection(None, environ)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Invalid kube-config. .* file is empty"),
        ("just words", "form of a kubeconfig"),
        ("{unclosed", "expected"),
        ("{clusters: [], contexts: [{name: mine, context: {cluster: c}}], current-context: mine}", "cluster"),
    ],
)
def test_the_error_for_an_invalid_kubeconfig_names_the_file(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(BadKubeconfig, match=rf"the kubeconfig .*config cannot be used: .*{reason}"):
        Connection(None, {"KUBECONFIG": str(file)})


def test_the_error_of_a_plugin_without_a_token_contains_its_message(
    kubeconfig: Write, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The library only logs the error, and continues as anonymous."""
    plugin = tmp_path / "plugin"
    plugin.write_text("#!/bin/sh\necho 'your session has expired' >&2\nexit 1\n")
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(BadKubeconfig, match=r"process returned 1\. your session has expired"):
        Connection(None, kubeconfig(mine={"exec": {"command": str(plugin), "apiVersion": EXEC}}))
    assert capfd.readouterr() == ("", "")


def test_each_request_has_the_token_of_the_plugin(kubeconfig: Write, tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    credential = f'{{"apiVersion": "{EXEC}", "kind": "ExecCredential", "status": {{"token": "secret"}}}}'
    plugin.write_text(f"#!/bin/sh\ncat <<'END'\n{credential}\nEND\n")
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    seen: list[str | None] = []

    def note(request: BaseHTTPRequestHandler) -> None:
        seen.append(request.headers["authorization"])
        send(request, 200)

    with answering(note) as address:
        connection = Connection(None, kubeconfig(address, mine={"exec": {"command": str(plugin), "apiVersion": EXEC}}))
        connection.send("GET", "/version")
        connection.close()
    assert seen == ["Bearer secret"]


def test_a_missing_certificate_file_is_an_error(kubeconfig: Write) -> None:
    users = {"mine": {"client-certificate": "/none.pem", "client-key": "/none.pem"}}
    with pytest.raises(BadKubeconfig, match=r"File does not exist: /none\.pem"):
        Connection(None, kubeconfig("https://127.0.0.1:1", **users))


def refused(connection: Connection, *, seconds: float = 10.0) -> ClusterError:
    with pytest.raises(ClusterUnreachable) as caught:
        connection.send("GET", "/version", seconds=seconds)
    connection.close()
    return caught.value


def test_a_closed_port_is_reported_immediately(kubeconfig: Write) -> None:
    error = refused(Connection(None, kubeconfig()))
    assert str(error) == "the cluster at http://127.0.0.1:1 does not answer: Connection refused"


def test_an_unknown_host_name_is_reported(kubeconfig: Write) -> None:
    error = refused(Connection(None, kubeconfig("https://no.such.host.invalid")))
    assert str(error).startswith("the cluster at https://no.such.host.invalid does not answer: ")
    assert "HTTPSConnection" not in str(error)


def test_a_server_that_accepts_but_does_not_answer_has_its_own_error(kubeconfig: Write) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        connection = Connection(None, kubeconfig(f"http://127.0.0.1:{deaf.getsockname()[1]}"))
        error = refused(connection, seconds=0.2)
    assert isinstance(error, NoAnswerInTime)
    assert "no answer within 0.2 s" in str(error)


def test_a_server_without_tls_is_unreachable(kubeconfig: Write) -> None:
    with answering(lambda request: send(request, 200)) as address:
        error = refused(Connection(None, kubeconfig(address.replace("http:", "https:"))))
    assert type(error) is ClusterUnreachable
    assert ssl.SSLError.__name__ not in str(error)


def test_the_api_server_reads_a_body_as_yaml_with_every_character(kubeconfig: Write) -> None:
    """It decodes an apply as YAML, in which no escape is one half of a character."""
    text = "".join(map(chr, [*range(0x100), 0x2028, 0x2029, 0xFEFF, 0xFFFD, 0xFFFF, 0x1F600, 0x10FFFF])) + '"\\u00e9'
    bodies: list[bytes] = []

    def read(request: BaseHTTPRequestHandler) -> None:
        bodies.append(request.rfile.read(int(request.headers["content-length"])))
        send(request, 200)

    with answering(read) as address:
        connection = Connection(None, kubeconfig(address))
        assert connection.send("GET", "/apis", body={"a": text}).status == 200
        connection.close()
    assert yaml.safe_load(bodies[0]) == json.loads(bodies[0]) == {"a": text}


def test_a_429_with_retry_after_is_retried(kubeconfig: Write) -> None:
    answers = iter([429, 200])

    def busy(request: BaseHTTPRequestHandler) -> None:
        send(request, next(answers), retry_after="0")

    with answering(busy) as address:
        connection = Connection(None, kubeconfig(address))
        assert connection.send("GET", "/version").status == 200
        connection.close()
