"""The connection to an API server: the only importer of `kubernetes`.

The library reads the kubeconfig (contexts, certificates, plugins that fetch tokens) and sets up TLS. Requests are plain
REST over its connections, so that objects stay dictionaries and no API discovery is necessary. Errors are raised as
classes of `knative.api.errors`.
"""

import json
import logging
import re
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
_ESCAPED: Final = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")  # not as they are in YAML
_CONNECT_TIMEOUT: Final = 5.0  # s; a reachable API server accepts immediately
ANSWER_TIMEOUT: Final = 60.0  # s; twice the timeout of Knative's webhooks
# An API server under load answers 429 with Retry-After. No other response or error is retried.
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
        """Select the cluster as kubectl does: KUBECONFIG, then ~/.kube/config, then the cluster of this pod.

        Sends no request yet. Raises `NoCluster`, `WrongContext`, `BadKubeconfig`.
        """
        self._configuration = Configuration()
        self._configuration.retries = False
        files = environ.get("KUBECONFIG") or _DEFAULT
        if context is None and not _any_exists(files) and "KUBERNETES_SERVICE_HOST" in environ:
            self.context, self.namespace = IN_CLUSTER, self._from_pod()
        else:
            self.context, self.namespace = self._from_files(files, context)
        self.address: str = self._configuration.host
        if not self._configuration.verify_ssl:  # set in the kubeconfig; kubectl does not warn about it either
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
        seconds: float = ANSWER_TIMEOUT,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request and return the answer, of any status. With `stream` the body is not read yet.

        `seconds` limits the wait for an answer, and for each part of a streamed body. Raises `NoAnswerInTime` if the
        server accepts the connection but does not answer, and `ClusterUnreachable` for every other failure.
        """
        encoded_query = urlencode({name: value for name, value in query.items() if value})
        headers = {**headers, **self._credentials(), "content-type": f"application/{kind}"}
        try:
            return self._pool.request(
                method,
                f"{self.address}{path}{encoded_query and f'?{encoded_query}'}",
                body=None if body is None else _as_yaml(body),
                headers=headers,
                timeout=urllib3.Timeout(connect=min(_CONNECT_TIMEOUT, seconds), read=seconds),
                retries=_RETRIES,
                preload_content=not stream,
            )
        except (HTTPError, OSError) as error:  # OSError: the file of a certificate was deleted
            raise _unreachable(self.address, error, seconds) from error

    def close(self) -> None:
        """Close the pooled connections."""
        self._pool.clear()

    def _from_files(self, files: str, context: str | None) -> tuple[str, str]:
        if not _any_exists(files):
            raise NoCluster(files)
        with _kubeconfig_errors(files):
            merger = KubeConfigMerger(files)
            read = merger.config
            known = [str(each["name"]) for each in read["contexts"].value or ()] if read else []
            name = context or str((read and read.safe_get("current-context")) or "")
        if name not in known:
            raise WrongContext(name, known=known, file=files)
        with _kubeconfig_errors(files):
            loader = KubeConfigLoader(
                read, active_context=name, config_base_path=None, config_persister=merger.save_changes
            )
            with _plugin_errors(files):
                loader.load_and_set(self._configuration)
            return name, str(loader.current_context["context"].get("namespace") or "default")

    def _from_pod(self) -> str:
        with _kubeconfig_errors(IN_CLUSTER):
            load_incluster_config(self._configuration)
            return _NAMESPACE_FILE.read_text("utf-8").strip()

    def _credentials(self) -> dict[str, str]:
        """Return the header with the token. Called for each request, because it renews an expired token."""
        with _plugin_errors(self.context):
            token = self._configuration.auth_settings().get("BearerToken")
        return {token["key"]: token["value"]} if token and token["value"] else {}


def _as_yaml(body: object) -> bytes:
    """Encode a body as JSON that is YAML too: the API server parses an apply as YAML.

    YAML has no surrogate pairs, which JSON uses in escapes, and it allows only escapes for some other characters.
    """
    text = json.dumps(body, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def _any_exists(files: str) -> bool:
    return any(Path(each).expanduser().exists() for each in files.split(ENV_KUBECONFIG_PATH_SEPARATOR) if each)


@contextmanager
def _kubeconfig_errors(file: str) -> Iterator[None]:
    """Convert each error of the library to `BadKubeconfig`: invalid YAML, a missing field, a missing file."""
    try:
        yield
    except BadKubeconfig:
        raise
    except Exception as error:
        wrong_shape = isinstance(error, (AttributeError, LookupError, TypeError))
        reason = "it does not have the form of a kubeconfig" if wrong_shape else " ".join(str(error).split())
        raise BadKubeconfig(file, reason) from error


@contextmanager
def _plugin_errors(file: str) -> Iterator[None]:
    """Raise `BadKubeconfig` if a plugin fetches no token: the library only logs that, and continues as anonymous."""
    collector = _ErrorCollector()
    root = logging.getLogger()
    root.addHandler(collector)  # with a handler present, logging.error() does not configure its own
    try:
        yield
    finally:
        root.removeHandler(collector)
    if collector.lines:
        raise BadKubeconfig(file, collector.lines[0])


class _ErrorCollector(logging.Handler):
    """A log handler that keeps the messages of errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message, as one line."""
        self.lines.append(" ".join(record.getMessage().split()))


def _unreachable(address: str, error: BaseException, seconds: float) -> ClusterUnreachable:
    if isinstance(getattr(error, "reason", error), ReadTimeoutError):
        return NoAnswerInTime(address, f"it accepted the connection, but sent no answer within {seconds:g} s")
    return ClusterUnreachable(address, _cause(error))


def _cause(error: BaseException) -> str:
    """Return the reason below urllib3's wrappers, such as Connection refused or certificate verify failed."""
    while isinstance(below := getattr(error, "reason", None) or error.__cause__, BaseException):
        error = below
    return getattr(error, "verify_message", None) or getattr(error, "strerror", None) or str(error)
