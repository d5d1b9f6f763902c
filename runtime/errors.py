"""Every error that scalezero reports to a caller, one class each.

The constructor of an error takes facts and builds the message: the field, the value that was received, and what is
expected. The `code` of an error is the same for all protocols; `runtime.status` maps each code to the statuses.

    ScalezeroError
     |-- RequestError                      the caller can fix it
     |    |-- InvalidInput                 invalid_input
     |    |-- RefusedInput                 invalid_input          with the text of the original server
     |    |-- UnknownSignature             signature_not_found    no signature of that name (TensorFlow Serving)
     |    |-- RejectedByModel              rejected_by_model
     |    |-- UnknownModel                 model_not_found
     |    |    `-- UnknownVersion          model_version_not_found   the model is served, this version of it is not
     |    |-- VersionConflict              version_conflict       the version conflicts with the registered ones
     |    |-- UnknownPath                  path_not_found
     |    |-- MethodNotAllowed             method_not_allowed
     |    |-- PayloadTooLarge              payload_too_large
     |    |-- HeadTooLarge                 headers_too_large
     |    |-- UnknownMethod                method_not_found       no gRPC method of that name
     |    |-- UnknownService               service_not_found      no gRPC service or model of that name
     |    |-- UnsupportedOperation         unsupported_operation  this server does not support a protocol's operation
     |    |-- UnsupportedEncoding          unsupported_encoding
     |    |-- UnsupportedContentType       unsupported_content_type
     |    |-- BatchesDisabled              unsupported_content_type  several events in one request, which is not enabled
     |    |-- Http2Required                http2_required         a gRPC call over HTTP/1.1
     |    |-- InvalidKey                   invalid_key            no key, or one that does not allow the request
     |    |-- ModelApiDisabled             model_api_disabled     models cannot be registered or unregistered
     |    |-- UrlNotRegistrable            url_not_registrable    models cannot be registered from this URL
     |    |-- RegistrationFailed           registration_failed    the model to register cannot be loaded
     |    |-- DefaultVersion               default_version        the default version is removed last
     |    |-- BadRequest                   bad_request            the request is not valid HTTP
     |    |-- BadEvent                     bad_event              the request carries no valid CloudEvent
     |    |-- BucketNotAllowed             bucket_not_allowed     objects of this bucket may not be fetched for events
     |    |-- ObjectMissing                object_missing         an event names an object that does not exist
     |    |-- EventRefused                 event_refused          the function refused the event: no further delivery
     |    `-- RequestTimeout               request_timeout        the client sent the request too slowly
     |-- QueueFull                         queue_full             retry later
     |-- Overloaded                        overloaded             retry later
     |-- InternalError                     internal               a bug in scalezero
     |-- DeadlineExceeded                  deadline_exceeded
     |    |-- CallTimedOut                 deadline_exceeded      a streaming call took longer than its grpc-timeout
     |    `-- ManagementTimedOut           deadline_exceeded      a management call took longer than its grpc-timeout
     |-- RunTimeout                        run_timeout
     |-- ShuttingDown                      shutting_down
     |-- FunctionFailed                    function_failed        the author's function cannot be loaded
     |-- FunctionCrashed                   function_crashed       the function raised an exception
     |-- EventDeferred                     event_deferred         the function asked for another delivery of the event
     |-- GuestCrashed                      function_crashed       a WebAssembly guest trapped, or exited with an error
     |-- InvalidAnswer                     function_answer_invalid  the function returned what HTTP cannot send
     |-- GuestAnswerInvalid                guest_answer_invalid   a guest's output is not a response of CGI
     |-- FunctionTimedOut                  function_timed_out     a call of the function took too long
     |-- FunctionStuck                     function_stuck         every thread of the function is stuck in a call
     |-- ModelFailed                       model_failed           the session fails for every input
     |-- ProviderUnavailable               provider_unavailable   an execution provider cannot be used on this machine
     |-- ModelUnavailable                  the model cannot be loaded now; its `code` is the reason
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
    """An error with a message (`str(error)`), a stable `code` and machine-readable `details`."""

    code: ClassVar[str]
    permanent: ClassVar[bool] = False  # whether each retry of the load fails until a person fixes the cause

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, object] = {name: value for name, value in details.items() if value is not None}


class RequestError(ScalezeroError):
    """An error of the caller: the same request fails again until the caller changes it."""


class InvalidInput(RequestError):
    """A field of the request has a value that the model or the protocol does not accept."""

    code = "invalid_input"

    def __init__(self, field: str, *, got: str, expected: str) -> None:
        super().__init__(f"{field}: got {got}; expected {expected}", field=field, got=got, expected=expected)


class RefusedInput(RequestError):
    """The request violates a rule of its protocol. The message is that of the original server: clients compare it."""

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
    """The input matches the signature, but the model cannot compute on it."""

    code = "rejected_by_model"

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(
            f"model {model!r} cannot compute on this input: {reason}",
            model=model,
            reason=reason,
        )


class UnknownModel(RequestError):
    """The process serves no model of that name."""

    code = "model_not_found"

    def __init__(self, model: str, served: Sequence[str], *, version: str | None = None) -> None:
        wanted = f"model {model[:80]!r}" if version is None else f"version {version[:80]!r} of model {model[:80]!r}"
        names = ", ".join(served) or "none"
        super().__init__(
            f"{wanted} is not served; served: {names}", model=model[:80], version=version, served=list(served)
        )


class UnknownVersion(UnknownModel):
    """The process serves the model, but not this version of it."""

    code = "model_version_not_found"

    def __init__(self, model: str, version: str, served: Sequence[str]) -> None:
        super().__init__(model, served, version=version)


class VersionConflict(RequestError):
    """A version of a model conflicts with the versions that are registered."""

    code = "version_conflict"

    def __init__(self, model: str, version: str | None, reason: str) -> None:
        subject = "no version" if version is None else f"version {version[:80]!r}"
        super().__init__(
            f"{subject} of model {model[:80]!r}: {reason}", model=model[:80], version=version, reason=reason
        )


class UnknownPath(RequestError):
    """No route matches the path."""

    code = "path_not_found"

    def __init__(self, path: str, method: str = "GET", *, only: Sequence[str] = ()) -> None:
        """Build the message; `only` are the protocols of a port that serves nothing else."""
        self.path, self.method = path, method
        what = f"this port serves only {', '.join(only)}" if only else "/openapi.json lists the routes"
        super().__init__(f"no route matches {path!r}; {what}", path=path)


class UnknownMethod(RequestError):
    """No gRPC method has this path."""

    code = "method_not_found"

    def __init__(self, path: str, served: Sequence[str]) -> None:
        super().__init__(
            f"gRPC method: got {path[:200]!r}; expected one of {', '.join(served)}",
            path=path[:200],
            served=list(served),
        )


class UnsupportedOperation(RequestError):
    """The protocol defines this operation, but this server does not support it."""

    code = "unsupported_operation"

    def __init__(self, operation: str, reason: str) -> None:
        super().__init__(f"{operation} is not supported: {reason}", operation=operation, reason=reason)


class UnknownService(RequestError):
    """A health check names a gRPC service or a model that the process does not serve."""

    code = "service_not_found"

    def __init__(self, name: str, served: Sequence[str]) -> None:
        super().__init__(
            f"service: got {name[:80]!r}; expected one of {', '.join(served)}, or an empty name for the whole server",
            service=name[:80],
            served=list(served),
        )


class MethodNotAllowed(RequestError):
    """The path exists, but does not accept this HTTP method."""

    code = "method_not_allowed"

    def __init__(self, method: str, path: str, allowed: Sequence[str]) -> None:
        self.path, self.method, self.allowed = path, method, tuple(allowed)
        super().__init__(
            f"{path} does not accept {method}; it accepts {', '.join(allowed)}",
            method=method,
            path=path,
            allowed=list(allowed),
        )


class PayloadTooLarge(RequestError):
    """The request is larger than the limit."""

    code = "payload_too_large"

    def __init__(self, what: str, *, limit: int, unit: str, got: int | None = None) -> None:
        received = f"{got} {unit}" if got is not None else f"more than {limit} {unit}"
        super().__init__(f"{what}: got {received}; expected at most {limit} {unit}", limit=limit, unit=unit, got=got)


class HeadTooLarge(RequestError):
    """The request line and the headers are larger than the limit."""

    code = "headers_too_large"

    def __init__(self, *, limit: int) -> None:
        super().__init__(
            f"request line and headers: got more than {limit} bytes; expected at most {limit}", limit=limit
        )


class UnsupportedEncoding(RequestError):
    """The body has a compression that this server does not support."""

    code = "unsupported_encoding"

    def __init__(self, coding: str, supported: Sequence[str], *, header: str = "Content-Encoding") -> None:
        names = ", ".join(supported)
        super().__init__(f"{header}: got {coding[:40]!r}; expected one of {names}", supported=list(supported))


class UnsupportedContentType(RequestError):
    """The path does not accept this content type; `content_type` None: the request has none."""

    code = "unsupported_content_type"

    def __init__(self, content_type: bytes | None, supported: Sequence[bytes]) -> None:
        names = [each.decode("latin-1") for each in supported]
        received = "none" if content_type is None else repr(content_type[:80].decode("latin-1"))
        super().__init__(f"Content-Type: got {received}; expected one of {', '.join(names)}", supported=names)


class BatchesDisabled(RequestError):
    """The request has several events (batched mode), which is not enabled."""

    code = "unsupported_content_type"

    def __init__(self, content_type: str) -> None:
        super().__init__(
            f"Content-Type: got {content_type[:80]!r}; expected one event, as batches are not enabled; send each "
            "event in a request of its own, or set SCALEZERO_EVENT_BATCHES=true",
            setting="SCALEZERO_EVENT_BATCHES",
        )


class Http2Required(RequestError):
    """A gRPC call was sent over HTTP/1.1; gRPC requires HTTP/2."""

    code = "http2_required"

    def __init__(self, version: str) -> None:
        super().__init__(
            f"HTTP version: got a gRPC call over HTTP/{version}; expected HTTP/2. Use a gRPC client without TLS "
            "(HTTP/2 with prior knowledge), or the predict API, which accepts HTTP/1.1",
            version=version,
        )


class InvalidKey(RequestError):
    """The request has no key, a wrong key, or an expired one. The message is TorchServe's."""

    code = "invalid_key"

    def __init__(self, what: str = "Authorization") -> None:
        super().__init__(f"Token {what} failed. Token either incorrect, expired, or not provided correctly")


class ModelApiDisabled(RequestError):
    """Models cannot be registered or unregistered while the process runs. The message starts as TorchServe's."""

    code = "model_api_disabled"

    def __init__(self) -> None:
        super().__init__("Model API disabled; set SCALEZERO_MODEL_API=true to enable it")


class UrlNotRegistrable(RequestError):
    """Models cannot be registered from this URL. `reason`: missing, relative, not found, no store or not allowed."""

    code = "url_not_registrable"

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"url: got {url[:200]!r} ({reason}); expected the name of a file in the model store, or a URL that starts "
            "with a prefix of SCALEZERO_REGISTER_FROM, without '..'",
            url=url[:200],
            reason=reason,
        )


class DefaultVersion(RequestError):
    """A request would remove the default version of a model that has other versions."""

    code = "default_version"

    def __init__(self, model: str, version: str, served: Sequence[str]) -> None:
        others = ", ".join(each for each in served if each != version)
        super().__init__(
            f"version {version!r} of model {model!r} is its default and cannot be removed; "
            f"set another default first: {others}",
            model=model,
            version=version,
            served=list(served),
        )


class BadRequest(RequestError):
    """The request is not valid HTTP."""

    code = "bad_request"

    def __init__(self, got: str) -> None:
        super().__init__(f"request: got {got}; expected a request as RFC 9112 defines it", got=got)


class BadEvent(RequestError):
    """A request does not carry the CloudEvent that its headers announce, or the event's data cannot be used."""

    code = "bad_event"

    def __init__(self, field: str, *, got: str, expected: str, **details: object) -> None:
        """Build the message; `field` is a header, such as `ce-id`, or a member of the JSON object."""
        field = field[:120]  # a sender chooses the names of extensions
        super().__init__(
            f"event {field}: got {got}; expected {expected}", field=field, got=got, expected=expected, **details
        )

    def in_batch(self, invalid: Sequence[Mapping[str, object]], *, count: int) -> "BadEvent":
        """Return this error with all invalid events of its batch, or the first of them; `count` is their number."""
        details = {**self.details, "invalid": list(invalid), "invalid_count": count}
        return BadEvent(**details)  # type: ignore[arg-type] # the details have the parameters' names


class BucketNotAllowed(RequestError):
    """An event names an object of a bucket that `SCALEZERO_EVENT_BUCKETS` does not allow."""

    code = "bucket_not_allowed"

    def __init__(self, bucket: str, allowed: Sequence[str]) -> None:
        names = f"one of {', '.join(allowed)}" if allowed else "no bucket: none is allowed"
        super().__init__(
            f"bucket of the event's object: got {bucket[:80]!r}; expected {names}; "
            "SCALEZERO_EVENT_BUCKETS lists the buckets whose objects may be fetched",
            bucket=bucket[:80],
            allowed=list(allowed),
        )


class ObjectMissing(RequestError):
    """An event names an object that does not exist, for example because it was deleted after the event."""

    code = "object_missing"

    def __init__(self, uri: str, reason: str) -> None:
        place = public_uri(uri)
        super().__init__(f"object of the event: {place}: {reason}", uri=place, reason=reason)


class EventRefused(RequestError):
    """The author's function answered an event with a status that says that the same event fails again."""

    code = "event_refused"

    def __init__(self, status: int, reason: str | None = None) -> None:
        said = f": {reason}" if reason else ""
        super().__init__(f"the function refused the event with status {status}{said}", status=status, reason=reason)


class RequestTimeout(RequestError):
    """The client took longer than `seconds` to send its request; `rate` bytes extend that time by a second."""

    code = "request_timeout"

    def __init__(self, part: str, *, seconds: float, rate: float | None = None) -> None:
        longer = f", plus 1 s for each {rate:g} bytes" if rate else ""
        super().__init__(
            f"request {part}: not complete in time; expected within {seconds:g} s{longer}",
            part=part,
            seconds=seconds,
            bytes_per_second=rate,
        )


class Overloaded(ScalezeroError):
    """The process has reached a limit, such as that of its memory for requests; `retry_after` is in seconds."""

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
    """The queue is full; `retry_after` is in seconds."""

    code = "queue_full"

    def __init__(self, *, limit: int, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(
            f"the queue is full: its limit is {limit} requests; try again in {retry_after} s",
            limit=limit,
            retry_after=retry_after,
        )


class InternalError(ScalezeroError):
    """A bug in scalezero. The message has no details; the log has them."""

    code = "internal"

    def __init__(self) -> None:
        super().__init__("internal error; the server's log has the details")


class DeadlineExceeded(ScalezeroError):
    """The request waited (by default in the queue) for longer than its timeout, in seconds."""

    code = "deadline_exceeded"

    def __init__(self, *, waited: float, timeout: float, where: str = "in the queue") -> None:
        super().__init__(
            f"waited {waited:.3f} s {where}, longer than the timeout of {timeout:g} s; the model did not run",
            waited_seconds=round(waited, 6),
            timeout_seconds=timeout,
        )


class CallTimedOut(DeadlineExceeded):
    """A streaming call took longer than its timeout, in seconds."""

    def __init__(self, *, timeout: float) -> None:
        ScalezeroError.__init__(
            self,
            f"the call took longer than its grpc-timeout of {timeout:g} s; raise it, or send fewer messages per call",
            timeout_seconds=timeout,
        )


class ManagementTimedOut(DeadlineExceeded):
    """A management call took longer than its timeout, in seconds. `begun`: its operation continues."""

    def __init__(self, *, timeout: float, begun: bool) -> None:
        outcome = "its operation continues" if begun else "its operation did not begin"
        ScalezeroError.__init__(
            self,
            f"the call took longer than its grpc-timeout of {timeout:g} s; {outcome}",
            timeout_seconds=round(timeout, 9),
        )


class RunTimeout(ScalezeroError):
    """A run of the model took longer than the limit, in seconds, and was stopped."""

    code = "run_timeout"

    def __init__(self, model: str, limit: float) -> None:
        super().__init__(
            f"model {model!r} did not finish within {limit:g} s and was stopped; "
            "send a smaller input, or raise SCALEZERO_RUN_TIMEOUT",
            model=model,
            limit_seconds=limit,
        )


class ShuttingDown(ScalezeroError):
    """The process is shutting down and accepts no more requests."""

    code = "shutting_down"

    def __init__(self) -> None:
        super().__init__("this process is shutting down; send the request again")


class FunctionFailed(ScalezeroError):
    """The author's function cannot be loaded. `source` and `reason` contain no exception text and no folder."""

    code = "function_failed"
    permanent = True

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(
            f"the function in {source} cannot be loaded: {reason}; the server's log has the traceback",
            source=source,
            reason=reason,
        )


class FunctionCrashed(ScalezeroError):
    """The author's function raised an exception. The message has its type; only the log has its text."""

    code = "function_crashed"

    def __init__(self, error: BaseException) -> None:
        name = type(error).__name__
        super().__init__(f"the function raised {name}; the server's log has the traceback", exception=name)


class GuestCrashed(ScalezeroError):
    """A WebAssembly guest trapped, or exited with a status other than 0. Only the log has the functions it was in."""

    code = "function_crashed"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the guest stopped: {reason}; the server's log has the details", reason=reason)


class EventDeferred(ScalezeroError):
    """The author's function answered an event with a status that asks for another delivery.

    `retry_after` is in seconds; None: the function did not say.
    """

    code = "event_deferred"

    def __init__(self, status: int, reason: str | None = None, *, retry_after: int | None = None) -> None:
        self.retry_after = retry_after
        said = f": {reason}" if reason else ""
        super().__init__(
            f"the function answered the event with status {status}, which asks for another delivery{said}",
            status=status,
            reason=reason,
            retry_after=retry_after,
        )


class InvalidAnswer(ScalezeroError):
    """The function's response has a part that HTTP cannot send."""

    code = "function_answer_invalid"

    def __init__(self, part: str, *, got: str, expected: str) -> None:
        super().__init__(
            f"response of the function: {part}: got {got}; expected {expected}", part=part, got=got, expected=expected
        )


class GuestAnswerInvalid(ScalezeroError):
    """The output of a WebAssembly guest is not a response of CGI, or is too large."""

    code = "guest_answer_invalid"

    def __init__(self, part: str, *, got: str, expected: str) -> None:
        super().__init__(
            f"output of the guest: {part}: got {got}; expected {expected}", part=part, got=got, expected=expected
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
    """Every thread of the author's function runs a call that exceeds the limit, in seconds.

    An entry of `calls` is a text such as `POST /path for 312 s`.
    """

    code = "function_stuck"

    def __init__(self, calls: Sequence[str], *, limit: float) -> None:
        shown = "; ".join(calls[:_SHOWN_CALLS])
        more = f"; {len(calls) - _SHOWN_CALLS} more" if len(calls) > _SHOWN_CALLS else ""
        super().__init__(
            f"all {len(calls)} threads of the function are stuck in calls that exceed the limit of {limit:g} s: "
            f"{shown}{more}; only a restart frees them",
            calls=list(calls[:_SHOWN_CALLS]),
            threads=len(calls),
            timeout_seconds=limit,
        )


class ModelFailed(ScalezeroError):
    """The session fails for every input."""

    code = "model_failed"

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"model {model!r} failed: {reason}", model=model, reason=reason)


class ProviderUnavailable(ScalezeroError):
    """An execution provider of ONNX Runtime is not installed, cannot be loaded, or has no device on this machine."""

    code = "provider_unavailable"
    permanent = True

    def __init__(self, provider: str, reason: str) -> None:
        super().__init__(f"{provider} cannot be used: {reason}", provider=provider, reason=reason)


class ModelUnavailable(ScalezeroError):
    """The model cannot be loaded now. The next request tries again."""

    code = "model_unavailable"

    def __init__(self, uri: str, reason: str, **details: object) -> None:
        place = public_uri(uri)
        super().__init__(f"{place}: {reason}", uri=place, reason=reason, **details)


class ArtifactMissing(ModelUnavailable):
    """No object or file has this URI."""

    code = "artifact_missing"
    permanent = True


class ArtifactChanged(ModelUnavailable):
    """The object was replaced while it was read."""

    code = "artifact_changed"


class DigestMismatch(ModelUnavailable):
    """The digest of the artifact differs from the published one."""

    code = "digest_mismatch"
    permanent = True

    def __init__(self, uri: str, *, expected: str, got: str) -> None:
        super().__init__(
            uri,
            f"its SHA-256 is {got}; expected {expected}: the object was replaced or damaged after it was published",
            expected=expected,
            got=got,
        )


class AccessDenied(ModelUnavailable):
    """The store accepts the credentials and denies access."""

    code = "access_denied"
    permanent = True


class CredentialsMissing(ModelUnavailable):
    """No credentials were found, or they have expired."""

    code = "credentials_missing"
    permanent = True


class StoreUnreachable(ModelUnavailable):
    """The store does not answer, or answers with a server error."""

    code = "store_unreachable"


class StoreStalled(ModelUnavailable):
    """The store stopped sending before the artifact was complete."""

    code = "store_stalled"


class ArtifactTooLarge(ModelUnavailable):
    """The artifact is larger than the limit; sizes are in bytes."""

    code = "artifact_too_large"
    permanent = True

    def __init__(self, uri: str, *, size: int, limit: int) -> None:
        allowed = f"at most {limit}; raise SCALEZERO_MAX_ARTIFACT_BYTES to allow more"
        super().__init__(uri, f"it has {size} bytes or more; expected {allowed}", size=size, limit=limit)


class DiskFull(ModelUnavailable):
    """The disk of the cache has too little free space for the artifact."""

    code = "disk_full"


class LoadFailed(ModelUnavailable):
    """A library raised an unexpected exception. Its text may contain secrets, so only the log has it."""

    code = "load_failed"
    permanent = True

    def __init__(self, uri: str, error: BaseException) -> None:
        kind = type(error).__name__
        super().__init__(uri, f"loading failed with {kind}; the server's log has the details", exception=kind)


class RegistrationFailed(RequestError):
    """A model that a request registers cannot be loaded; `cause` is the error of the load."""

    code = "registration_failed"

    def __init__(self, url: str, cause: ModelUnavailable) -> None:
        self.cause = cause
        super().__init__(f"{url[:200]}: not registered, because loading failed: {cause.message}", url=url[:200])


class InvalidModel(ModelUnavailable):
    """ONNX Runtime cannot open the artifact as a model."""

    code = "invalid_model"
    permanent = True


class BadSetting(ScalezeroError):
    """A setting or a manifest field has a value that is not allowed, or has no value: then `value` is None.

    A `hidden` value is a secret or a local path; neither the message nor the details contain it.
    """

    code = "bad_setting"
    permanent = True

    def __init__(self, name: str, *, value: object, allowed: str, hidden: bool = False) -> None:
        setting = f"{name}: not set; " if value is None else f"{name}: " if hidden else f"{name}={value!r}: "
        super().__init__(f"{setting}expected {allowed}", name=name, value=None if hidden else value, allowed=allowed)


def public_uri(uri: str) -> str:
    """Return the URI for callers: only the name of a local file, so that no local folder is shown."""
    if uri.startswith("/") or uri.lower().startswith("file:"):
        return uri.rpartition("/")[2] or uri
    return uri
