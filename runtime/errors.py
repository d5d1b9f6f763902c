"""Every fault that scalezero tells a caller, one class each.

An error takes facts and builds its own sentence: what came, where, and what would be right. It carries a neutral
`code`; `runtime.status` holds the one table from code to status.

    ScalezeroError
     |-- RequestError                      the caller can mend it
     |    |-- InvalidInput                 invalid_input
     |    |-- RefusedInput                 invalid_input          in the words of the original server
     |    |-- UnknownSignature             signature_not_found    no signature of that name (TensorFlow Serving)
     |    |-- RejectedByModel              rejected_by_model
     |    |-- UnknownModel                 model_not_found
     |    |    `-- UnknownVersion          model_version_not_found   the model is here, this version of it is not
     |    |-- VersionConflict              version_conflict       the version cannot stand beside those that are here
     |    |-- UnknownPath                  path_not_found
     |    |-- MethodNotAllowed             method_not_allowed
     |    |-- PayloadTooLarge              payload_too_large
     |    |-- HeadTooLarge                 headers_too_large
     |    |-- UnknownMethod                method_not_found       no gRPC method of that name
     |    |-- UnknownService               service_not_found      no gRPC service or model of that name
     |    |-- UnsupportedOperation         unsupported_operation  a protocol has it, this server does not
     |    |-- UnsupportedEncoding          unsupported_encoding
     |    |-- UnsupportedContentType       unsupported_content_type
     |    |-- Http2Required                http2_required         a gRPC call over HTTP/1.1
     |    |-- InvalidKey                   invalid_key            no key that allows the request
     |    |-- ModelApiDisabled             model_api_disabled     models may not be registered or unregistered
     |    |-- UrlNotRegistrable            url_not_registrable    a model may not be registered from there
     |    |-- RegistrationFailed           registration_failed    a model could not be loaded when it was registered
     |    |-- DefaultVersion               default_version        it is not removed while other versions are there
     |    |-- BadRequest                   bad_request            no HTTP that can be read
     |    `-- RequestTimeout               request_timeout        the client was too slow in sending
     |-- QueueFull                         queue_full             try again after a while
     |-- Overloaded                        overloaded             try again after a while
     |-- InternalError                     internal               a bug of ours
     |-- DeadlineExceeded                  deadline_exceeded
     |    `-- CallTimedOut                 deadline_exceeded      a streaming call took longer than its grpc-timeout
     |-- RunTimeout                        run_timeout
     |-- ShuttingDown                      shutting_down
     |-- FunctionFailed                    function_failed        the author's function could not be loaded
     |-- FunctionCrashed                   function_crashed       a call of it raised an exception
     |-- InvalidAnswer                     function_answer_invalid  a call of it answered what HTTP cannot send
     |-- FunctionTimedOut                  function_timed_out     a call of it took too long
     |-- FunctionStuck                     function_stuck         no call of it comes to an end any more
     |-- ModelFailed                       model_failed           the session broke, whatever the input
     |-- ModelUnavailable                  the model cannot be loaded now; its `code` tells why
     |    |-- ArtifactMissing              artifact_missing
     |    |-- ArtifactChanged              artifact_changed
     |    |-- DigestMismatch               digest_mismatch
     |    |-- AccessDenied                 access_denied
     |    |-- CredentialsMissing           credentials_missing
     |    |-- StoreUnreachable             store_unreachable
     |    |-- StoreStalled                 store_stalled
     |    |-- ArtifactTooLarge             artifact_too_large
     |    |-- DiskFull                     disk_full
     |    |-- LoadFailed                   load_failed
     |    `-- InvalidModel                 invalid_model
     `-- BadSetting                        bad_setting            stops the start
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

_SHOWN_CALLS: Final = 5


class ScalezeroError(Exception):
    """What went wrong, as a sentence (`str(error)`), a stable `code` and machine-readable `details`."""

    code: ClassVar[str]
    lasting: ClassVar[bool] = False  # of a load: whether trying again meets the same end until somebody mends it

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, object] = {name: value for name, value in details.items() if value is not None}


class RequestError(ScalezeroError):
    """The caller's fault: the same request fails again until it is mended."""


class InvalidInput(RequestError):
    """A field of the request is not what the model or the protocol takes."""

    code = "invalid_input"

    def __init__(self, field: str, *, got: str, expected: str) -> None:
        super().__init__(f"{field}: got {got}; expected {expected}", field=field, got=got, expected=expected)


class RefusedInput(RequestError):
    """A request that breaks a rule of its protocol. The text is the original server's, which its clients look at."""

    code = "invalid_input"


class UnknownSignature(RequestError):
    """The model has no signature of that name."""

    code = "signature_not_found"

    def __init__(self, name: str, served: str) -> None:
        super().__init__(
            f"signature_name: got {name[:80]!r}; expected {served!r}, the only signature of a model",
            field="signature_name",
            signature=name[:80],
            served=[served],
        )


class RejectedByModel(RequestError):
    """The input fits the signature, yet the model cannot compute on it."""

    code = "rejected_by_model"

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(
            f"model {model!r} cannot compute on this input: {reason}",
            model=model,
            reason=reason,
        )


class UnknownModel(RequestError):
    """No model of that name is served here."""

    code = "model_not_found"

    def __init__(self, model: str, served: Sequence[str], *, version: str | None = None) -> None:
        wanted = (
            f"no model {model[:80]!r}" if version is None else f"no version {version[:80]!r} of model {model[:80]!r}"
        )
        names = ", ".join(served) or "none"
        super().__init__(f"{wanted} here; served: {names}", model=model[:80], version=version, served=list(served))


class UnknownVersion(UnknownModel):
    """The model is served here, that version of it is not."""

    code = "model_version_not_found"

    def __init__(self, model: str, version: str, served: Sequence[str]) -> None:
        super().__init__(model, served, version=version)


class VersionConflict(RequestError):
    """A version of a model cannot stand beside those that are here."""

    code = "version_conflict"

    def __init__(self, model: str, version: str | None, reason: str) -> None:
        came = "no version" if version is None else f"version {version[:80]!r}"
        super().__init__(f"{came} of model {model[:80]!r}: {reason}", model=model[:80], version=version, reason=reason)


class UnknownPath(RequestError):
    """No route answers this path."""

    code = "path_not_found"

    def __init__(self, path: str, method: str = "GET", *, only: Sequence[str] = ()) -> None:
        """`only`: the protocols of a port that serves nothing else."""
        self.path, self.method = path, method
        what = f"this port serves {', '.join(only)} alone" if only else "/openapi.json lists what does"
        super().__init__(f"nothing answers {path!r} here; {what}", path=path)


class UnknownMethod(RequestError):
    """No gRPC method answers this path."""

    code = "method_not_found"

    def __init__(self, path: str, served: Sequence[str]) -> None:
        super().__init__(
            f"gRPC method: got {path[:200]!r}; expected one of {', '.join(served)}",
            path=path[:200],
            served=list(served),
        )


class UnsupportedOperation(RequestError):
    """A protocol has this operation, and this server does not."""

    code = "unsupported_operation"

    def __init__(self, operation: str, reason: str) -> None:
        super().__init__(f"{operation} is not supported here: {reason}", operation=operation, reason=reason)


class UnknownService(RequestError):
    """The health of something was asked for that is not here."""

    code = "service_not_found"

    def __init__(self, name: str, served: Sequence[str]) -> None:
        super().__init__(
            f"service: got {name[:80]!r}; expected one of {', '.join(served)}, or an empty name for the whole server",
            service=name[:80],
            served=list(served),
        )


class MethodNotAllowed(RequestError):
    """The path is right, the method is not."""

    code = "method_not_allowed"

    def __init__(self, method: str, path: str, allowed: Sequence[str]) -> None:
        self.path, self.method, self.allowed = path, method, tuple(allowed)
        super().__init__(
            f"{path} does not take {method}; it takes {', '.join(allowed)}",
            method=method,
            path=path,
            allowed=list(allowed),
        )


class PayloadTooLarge(RequestError):
    """The request is larger than this server takes."""

    code = "payload_too_large"

    def __init__(self, what: str, *, limit: int, unit: str, got: int | None = None) -> None:
        came = f"{got} {unit}" if got is not None else f"more than {limit} {unit}"
        super().__init__(f"{what}: got {came}; expected at most {limit} {unit}", limit=limit, unit=unit, got=got)


class HeadTooLarge(RequestError):
    """The request line and the headers are larger than this server takes."""

    code = "headers_too_large"

    def __init__(self, *, limit: int) -> None:
        super().__init__(
            f"request line and headers: got more than {limit} bytes; expected at most {limit}", limit=limit
        )


class UnsupportedEncoding(RequestError):
    """The body is compressed in a way that this server does not read."""

    code = "unsupported_encoding"

    def __init__(self, coding: str, supported: Sequence[str], *, header: str = "Content-Encoding") -> None:
        names = ", ".join(supported)
        super().__init__(f"{header}: got {coding[:40]!r}; expected one of {names}", supported=list(supported))


class UnsupportedContentType(RequestError):
    """The path takes another content type; None: the request has none."""

    code = "unsupported_content_type"

    def __init__(self, content_type: bytes | None, supported: Sequence[bytes]) -> None:
        names = [each.decode("latin-1") for each in supported]
        came = "none" if content_type is None else repr(content_type[:80].decode("latin-1"))
        super().__init__(f"Content-Type: got {came}; expected one of {', '.join(names)}", supported=names)


class Http2Required(RequestError):
    """A gRPC call came over a version of HTTP that cannot carry it."""

    code = "http2_required"

    def __init__(self, version: str) -> None:
        super().__init__(
            f"HTTP version: got a gRPC call over HTTP/{version}; expected HTTP/2. Use a gRPC client without TLS "
            "(HTTP/2 with prior knowledge), or the predict API, which takes HTTP/1.1",
            version=version,
        )


class InvalidKey(RequestError):
    """The request shows no key, a wrong one, or one that has expired. The sentence is TorchServe's."""

    code = "invalid_key"

    def __init__(self, what: str = "Authorization") -> None:
        super().__init__(f"Token {what} failed. Token either incorrect, expired, or not provided correctly")


class ModelApiDisabled(RequestError):
    """Models may be neither registered nor unregistered while the process runs. The first words are TorchServe's."""

    code = "model_api_disabled"

    def __init__(self) -> None:
        super().__init__("Model API disabled; SCALEZERO_MODEL_API=true enables it")


class UrlNotRegistrable(RequestError):
    """A model may not be registered from that URL. `reason`: missing, relative, not found, no store or not allowed."""

    code = "url_not_registrable"

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"url: got {url[:200]!r} ({reason}); expected the name of a file of the model store, or a URL below "
            "a prefix of SCALEZERO_REGISTER_FROM, without '..'",
            url=url[:200],
            reason=reason,
        )


class DefaultVersion(RequestError):
    """The default version of a model was to be removed while others are there."""

    code = "default_version"

    def __init__(self, model: str, version: str, served: Sequence[str]) -> None:
        others = ", ".join(each for each in served if each != version)
        super().__init__(
            f"version {version!r} of model {model!r} is its default; make another one the default first: {others}",
            model=model,
            version=version,
            served=list(served),
        )


class BadRequest(RequestError):
    """What came is not HTTP, or breaks its rules."""

    code = "bad_request"

    def __init__(self, got: str) -> None:
        super().__init__(f"request: got {got}; expected a request as RFC 9112 defines it", got=got)


class RequestTimeout(RequestError):
    """The client took too long to send its request; `seconds` is the time for it, `rate` bytes a second extend it."""

    code = "request_timeout"

    def __init__(self, part: str, *, seconds: float, rate: float | None = None) -> None:
        longer = f", and 1 s more for each {rate:g} bytes" if rate else ""
        super().__init__(
            f"request {part}: not complete in time; expected within {seconds:g} s{longer}",
            part=part,
            seconds=seconds,
            bytes_per_second=rate,
        )


class Overloaded(ScalezeroError):
    """The process holds as much as it may; `retry_after` is in seconds."""

    code = "overloaded"

    def __init__(self, what: str, *, limit: int, unit: str, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(
            f"{what}: the limit of {limit} {unit} is reached; try again in {retry_after} s",
            limit=limit,
            unit=unit,
            retry_after=retry_after,
        )


class QueueFull(ScalezeroError):
    """Too many requests wait already; `retry_after` is in seconds."""

    code = "queue_full"

    def __init__(self, *, limit: int, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(
            f"{limit} requests wait already, which is the limit; try again in {retry_after} s",
            limit=limit,
            retry_after=retry_after,
        )


class InternalError(ScalezeroError):
    """A bug of ours: the caller gets no more than that, the log has all of it."""

    code = "internal"

    def __init__(self) -> None:
        super().__init__("this is a fault of the server; its log has the details")


class DeadlineExceeded(ScalezeroError):
    """The request waited (by default in the queue) for longer than its timeout, in seconds."""

    code = "deadline_exceeded"

    def __init__(self, *, waited: float, timeout: float, where: str = "in the queue") -> None:
        super().__init__(
            f"waited {waited:.3f} s {where}, past the timeout of {timeout:g} s; the model never saw it",
            waited_seconds=round(waited, 6),
            timeout_seconds=timeout,
        )


class CallTimedOut(DeadlineExceeded):
    """A call whose messages are a stream took longer than its timeout, in seconds."""

    def __init__(self, *, timeout: float) -> None:
        ScalezeroError.__init__(
            self,
            f"the call took longer than its grpc-timeout of {timeout:g} s; raise that, or send fewer messages in it",
            timeout_seconds=timeout,
        )


class RunTimeout(ScalezeroError):
    """The model computed for longer than one run may take, in seconds, and was stopped."""

    code = "run_timeout"

    def __init__(self, model: str, limit: float) -> None:
        super().__init__(
            f"model {model!r} did not finish within {limit:g} s and was stopped; "
            "send a smaller input, or raise SCALEZERO_RUN_TIMEOUT",
            model=model,
            limit_seconds=limit,
        )


class ShuttingDown(ScalezeroError):
    """The process is ending and takes no more work."""

    code = "shutting_down"

    def __init__(self) -> None:
        super().__init__("this process is shutting down; another one will answer")


class FunctionFailed(ScalezeroError):
    """The author's function could not be loaded. `source` and `reason` hold no text of an exception, and no folder."""

    code = "function_failed"
    lasting = True

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(
            f"the function in {source} cannot be loaded: {reason}; the server's log has the traceback",
            source=source,
            reason=reason,
        )


class FunctionCrashed(ScalezeroError):
    """A call of the author's function raised: the caller gets the exception's type, the log its text."""

    code = "function_crashed"

    def __init__(self, error: BaseException) -> None:
        name = type(error).__name__
        super().__init__(f"the function raised {name}; the server's log has the traceback", exception=name)


class InvalidAnswer(ScalezeroError):
    """The function's answer has a part that cannot be sent."""

    code = "function_answer_invalid"

    def __init__(self, part: str, *, got: str, expected: str) -> None:
        super().__init__(
            f"the function's answer: {part}: got {got}; expected {expected}", part=part, got=got, expected=expected
        )


class FunctionTimedOut(ScalezeroError):
    """A call of the author's function, or its import, took longer than the limit, in seconds."""

    code = "function_timed_out"

    def __init__(self, what: str, *, limit: float) -> None:
        super().__init__(
            f"{what} took longer than {limit:g} s, the limit that SCALEZERO_FUNCTION_TIMEOUT sets",
            timeout_seconds=limit,
        )


class FunctionStuck(ScalezeroError):
    """Every thread for calls of the author's function holds a call that is past its limit, in seconds.

    `calls` are such as `POST /path for 312 s`.
    """

    code = "function_stuck"

    def __init__(self, calls: Sequence[str], *, limit: float) -> None:
        shown = "; ".join(calls[:_SHOWN_CALLS])
        more = f"; {len(calls) - _SHOWN_CALLS} more" if len(calls) > _SHOWN_CALLS else ""
        super().__init__(
            f"all {len(calls)} threads of the function are stuck in calls past the limit of {limit:g} s: "
            f"{shown}{more}; only a restart frees them",
            calls=list(calls[:_SHOWN_CALLS]),
            threads=len(calls),
            timeout_seconds=limit,
        )


class ModelFailed(ScalezeroError):
    """The session fails whatever the input is."""

    code = "model_failed"

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"model {model!r} failed: {reason}", model=model, reason=reason)


class ModelUnavailable(ScalezeroError):
    """The model cannot be loaded now. The next request tries again."""

    code = "model_unavailable"

    def __init__(self, uri: str, reason: str, **details: object) -> None:
        place = public_uri(uri)
        super().__init__(f"{place}: {reason}", uri=place, reason=reason, **details)


class ArtifactMissing(ModelUnavailable):
    """No object or file at that place."""

    code = "artifact_missing"
    lasting = True


class ArtifactChanged(ModelUnavailable):
    """The object was replaced while it was being read."""

    code = "artifact_changed"


class DigestMismatch(ModelUnavailable):
    """What was read is not what was published."""

    code = "digest_mismatch"
    lasting = True

    def __init__(self, uri: str, *, expected: str, got: str) -> None:
        super().__init__(uri, f"its SHA-256 is {got}, expected {expected}", expected=expected, got=got)


class AccessDenied(ModelUnavailable):
    """The store knows us and says no."""

    code = "access_denied"
    lasting = True


class CredentialsMissing(ModelUnavailable):
    """No credentials were found, or they do not work any more."""

    code = "credentials_missing"
    lasting = True


class StoreUnreachable(ModelUnavailable):
    """The store does not answer, or answers with its own fault."""

    code = "store_unreachable"


class StoreStalled(ModelUnavailable):
    """The store stopped sending in the middle."""

    code = "store_stalled"


class ArtifactTooLarge(ModelUnavailable):
    """The store says that the artifact is larger than this server takes; sizes are in bytes."""

    code = "artifact_too_large"
    lasting = True

    def __init__(self, uri: str, *, size: int, limit: int) -> None:
        allowed = f"at most {limit}; SCALEZERO_MAX_ARTIFACT_BYTES may allow more"
        super().__init__(uri, f"the model has {size} bytes or more; expected {allowed}", size=size, limit=limit)


class DiskFull(ModelUnavailable):
    """The cache has no room for the artifact."""

    code = "disk_full"


class LoadFailed(ModelUnavailable):
    """A library failed in a way that nobody expected. Its text may hold secrets, so only the log has it."""

    code = "load_failed"
    lasting = True

    def __init__(self, uri: str, error: BaseException) -> None:
        kind = type(error).__name__
        super().__init__(uri, f"loading it failed with {kind}; the log has the details", exception=kind)


class RegistrationFailed(RequestError):
    """A model was to be registered while the process runs, and could not be loaded: `cause` says why."""

    code = "registration_failed"

    def __init__(self, url: str, cause: ModelUnavailable) -> None:
        self.cause = cause
        super().__init__(f"{url[:200]}: not registered, as loading it failed: {cause.message}", url=url[:200])


class InvalidModel(ModelUnavailable):
    """The artifact is not a model that ONNX Runtime can open here."""

    code = "invalid_model"
    lasting = True


class BadSetting(ScalezeroError):
    """A setting or a manifest field has a value that is not allowed, or has none: `value` is None then.

    A `hidden` value is a secret or a place on this machine; neither the sentence nor the details show it.
    """

    code = "bad_setting"
    lasting = True

    def __init__(self, name: str, *, value: object, allowed: str, hidden: bool = False) -> None:
        came = f"{name}: not given; " if value is None else f"{name}: " if hidden else f"{name}={value!r}: "
        super().__init__(f"{came}expected {allowed}", name=name, value=None if hidden else value, allowed=allowed)


def public_uri(uri: str) -> str:
    """Name an artifact for callers: a file by its name alone, as its folder is a matter of this machine."""
    if uri.startswith("/") or uri.lower().startswith("file:"):
        return uri.rpartition("/")[2] or uri
    return uri
