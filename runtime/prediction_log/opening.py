"""The log of a process, from its settings."""

import logging
import ssl
from pathlib import Path
from typing import Final

from runtime.artifacts.transport import origin_of, system_context
from runtime.configuration.sink import extensions, request_target
from runtime.errors import BadSetting
from runtime.prediction_log.connection import SinkAddress
from runtime.prediction_log.encoding import Encoder, Facts
from runtime.prediction_log.log import Output, PredictionLog, Queue
from runtime.prediction_log.posting import Poster
from runtime.prediction_log.targets import SINK, check_target
from runtime.prediction_log.writing import Writer, open_file
from runtime.settings import Settings

_log: Final = logging.getLogger("scalezero.prediction_log")


def open_log(settings: Settings) -> PredictionLog | None:
    """Return the log that the settings ask for; None if it needs K_SINK, which a pod does not have.

    Raises `BadSetting`.
    """
    check_target(settings)
    most = settings.prediction_log_event_bytes
    queue = Queue(settings.prediction_log_queue)
    if settings.prediction_log != SINK:
        encoder = Encoder(_facts(settings), most=most)
        output: Output = _writer(Path(settings.prediction_log or ""), queue, encoder)
    elif settings.sink is None:
        _log.warning("no predictions are logged: K_SINK is not set; apply a SinkBinding for this function")
        return None
    else:
        origin, path = origin_of(settings.sink), request_target(settings.sink)
        encoder = Encoder(_facts(settings), most=most, path=path, authority=origin.authority)
        tls = _context(settings.sink_certificates) if origin.scheme == "https" else None
        output = Poster(
            SinkAddress(origin.host, origin.port, tls, origin.url),
            queue,
            encoder,
            batch=settings.prediction_log_batch,
            connections=settings.prediction_log_connections,
        )
        _log.info("predictions are logged", extra={"sink": origin.url, "sample": settings.prediction_log_sample})
    return PredictionLog(queue, encoder, output, share=settings.prediction_log_sample, most=most)


def _facts(settings: Settings) -> Facts:
    added = extensions(settings.sink_overrides) if settings.prediction_log == SINK else {}
    return Facts(settings.prediction_log_type, settings.service, settings.revision, added)


def _writer(path: Path, queue: Queue, encoder: Encoder) -> Writer:
    try:
        file = open_file(path)
    except OSError as error:
        allowed = f"a file that can be written ({error.strerror})"
        raise BadSetting("SCALEZERO_PREDICTION_LOG", value=str(path), allowed=allowed) from error
    return Writer(path, file, queue, encoder)


def _context(certificates: str | None) -> ssl.SSLContext:
    """Return a context that trusts the system's certificates and those of K_CA_CERTS. Raises `BadSetting`."""
    context = system_context()
    try:
        if certificates:
            context.load_verify_locations(cadata=certificates)
    except (ssl.SSLError, ValueError) as error:
        raise BadSetting("K_CA_CERTS", value="...", allowed=f"PEM certificates ({error})") from error
    return context
