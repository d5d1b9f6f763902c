"""The way to an API server: the only importer of `kubernetes`.

The library reads the kubeconfig (contexts, certificates, plugins that fetch tokens) and sets up TLS; requests are plain
REST over the connections that it makes, so that objects stay the dictionaries that they are and no discovery is paid
for. What goes wrong on the way leaves here as a class of `knative.api.errors`.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import load_incluster_config
from kubernetes.config.kube_config import ENV_KUBECONFIG_PATH_SEPARATOR, KubeConfigLoader, KubeConfigMerger
from urllib3.exceptions import HTTPError, InsecureRequestWarning, ReadTimeoutError

from knative.api.errors import BadKubeconfig, ClusterUnreachable, NoAnswerInTime, NoCluster, WrongContext

IN_CLUSTER: Final = "in-cluster"  # the context's name in a pod
_DEFAULT: Final = "~/.kube/config"
_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_CONNECT: Final = 5.0  # s; an API server that is there accepts at once
ANSWER: Final = 60.0  # s; twice what Knative's webhooks may take
# An API server under load says when to come again (429 and Retry-After); nothing else is tried twice.
_RETRIES: Final = urllib3.Retry(
    total=None,
    connect=0,
    read=0,
    redirect=0,
    other=0,
    status=4,
    status_forcelist=[429],
    allowed_methods=None,
    raise_on_status=False,
)


class Connection:
    """One API server, as one user, under one context of the kubeconfig."""

    def __init__(self, context: str | None, environ: Mapping[str, str]) -> None:
        """Find the cluster as kubectl does: KUBECONFIG, then ~/.kube/config; else as a pod in it. Asks it nothing yet.

        Raises `NoCluster`, `WrongContext`, `BadKubeconfig`.
        """
        self._configuration = Configuration()
        self._configuration.retries = False
        files = environ.get("KUBECONFIG") or _DEFAULT
        if context is None and not _there(files) and "KUBERNETES_SERVICE_HOST" in environ:
            self.context, self.namespace = IN_CLUSTER, self._from_pod()
        else:
            self.context, self.namespace = self._from_files(files, context)
        self.address: str = self._configuration.host
        if not self._configuration.verify_ssl:  # the kubeconfig says so; kubectl does not warn of it either
            urllib3.disable_warnings(InsecureRequestWarning)
        self._pool = ApiClient(self._configuration).rest_client.pool_manager

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = {},
        body: object = None,
        kind: str = "json",
        headers: Mapping[str, str] = {},
        seconds: float = ANSWER,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request and return the answer, whatever its status; its body stays unread where `stream`.

        `seconds` bounds the wait for an answer, or for its next part. Raises `ClusterUnreachable`; where there was a
        connection and no answer, `NoAnswerInTime`.
        """
        asked = urlencode({name: value for name, value in query.items() if value})
        headers = {**headers, **self._credentials(), "content-type": f"application/{kind}"}
        try:
            return self._pool.request(
                method,
                f"{self.address}{path}{asked and f'?{asked}'}",
                body=None if body is None else json.dumps(body),
                headers=headers,
                timeout=urllib3.Timeout(connect=min(_CONNECT, seconds), read=seconds),
                retries=_RETRIES,
                preload_content=not stream,
            )
        except (HTTPError, OSError) as error:  # OSError: a certificate's file is gone
            raise _unanswered(self.address, error, seconds) from error

    def close(self) -> None:
        """Let go of the connections that are kept for the next request."""
        self._pool.clear()

    def _from_files(self, files: str, context: str | None) -> tuple[str, str]:
        if not _there(files):
            raise NoCluster(files)
        with _told(files):
            merger = KubeConfigMerger(files)
            read = merger.config
            known = [str(each["name"]) for each in read["contexts"].value or ()] if read else []
            name = context or str((read and read.safe_get("current-context")) or "")
        if name not in known:
            raise WrongContext(name, known=known, file=files)
        with _told(files):
            loader = KubeConfigLoader(
                read, active_context=name, config_base_path=None, config_persister=merger.save_changes
            )
            with _plugins(files):
                loader.load_and_set(self._configuration)
            return name, str(loader.current_context["context"].get("namespace") or "default")

    def _from_pod(self) -> str:
        with _told(IN_CLUSTER):
            load_incluster_config(self._configuration)
            return _NAMESPACE_FILE.read_text("utf-8").strip()

    def _credentials(self) -> dict[str, str]:
        """Look them up for each request: a token that runs out is renewed then."""
        with _plugins(self.context):
            known = self._configuration.auth_settings().get("BearerToken")
        return {known["key"]: known["value"]} if known and known["value"] else {}


def _there(files: str) -> bool:
    return any(Path(each).expanduser().exists() for each in files.split(ENV_KUBECONFIG_PATH_SEPARATOR) if each)


@contextmanager
def _told(file: str) -> Iterator[None]:
    """Tell whatever the library raises over a kubeconfig: wrong YAML, a missing field, a file that is not there."""
    try:
        yield
    except BadKubeconfig:
        raise
    except Exception as error:
        shape = isinstance(error, (AttributeError, LookupError, TypeError))
        reason = "it is not one" if shape else " ".join(str(error).split())
        raise BadKubeconfig(file, reason) from error


@contextmanager
def _plugins(file: str) -> Iterator[None]:
    """Raise what the library only logs: a plugin that fetches no token. It would go on as nobody."""
    heard = _Heard()
    root = logging.getLogger()
    root.addHandler(heard)  # with a handler there, logging.error() sets up none of its own
    try:
        yield
    finally:
        root.removeHandler(heard)
    if heard.lines:
        raise BadKubeconfig(file, heard.lines[0])


class _Heard(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line."""
        self.lines.append(" ".join(record.getMessage().split()))


def _unanswered(address: str, error: BaseException, seconds: float) -> ClusterUnreachable:
    if isinstance(getattr(error, "reason", error), ReadTimeoutError):
        return NoAnswerInTime(address, f"there is a connection, and no answer within {seconds:g} s")
    return ClusterUnreachable(address, _cause(error))


def _cause(error: BaseException) -> str:
    """Find the reason below urllib3's layers: Connection refused, certificate verify failed ..."""
    while isinstance(below := getattr(error, "reason", None) or error.__cause__, BaseException):
        error = below
    return getattr(error, "verify_message", None) or getattr(error, "strerror", None) or str(error)
