"""The keys of this process: created at its start, written to a file that only its user can read, checked per request.

A key from the settings (a Kubernetes Secret) is the same in every pod, does not expire and is not written to the file.
Source: pytorch/serve, docs/token_authorization_api.md.
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Final

from runtime.errors import BadSetting, InvalidKey
from runtime.protocols.torchserve import keys
from runtime.protocols.torchserve.keys import Key, Kind

_log = logging.getLogger("scalezero.torchserve")
_MIN_LENGTH: Final = 16  # characters of a key from the settings


class Tokens:
    """The keys of one process."""

    def __init__(
        self,
        file: Path | None,
        *,
        expiration: float,
        management: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Create the keys and write them to `file`; None: they are not written, so no client can know them.

        `expiration` is in seconds; `management` is a key from the settings.

        Raises `BadSetting` if the file cannot be written, or the key is too short or not ASCII.
        """
        if management is not None and (len(management) < _MIN_LENGTH or not management.isascii()):
            allowed = f"at least {_MIN_LENGTH} ASCII characters"
            raise BadSetting("SCALEZERO_MANAGEMENT_KEY", value=management, allowed=allowed, hidden=True)
        self._file = file and file.absolute()
        self._expiration = expiration
        self._clock = clock
        self._fixed = Key(management) if management else None
        self._lock = Lock()
        self._written = b""
        self._keys = {Kind.MANAGEMENT: self._new(), Kind.INFERENCE: self._new(), Kind.API: keys.new()}
        self._write(self._keys)

    def check(self, kind: Kind, header: bytes | None) -> None:
        """Raise `InvalidKey` unless `header`, the value of `Authorization`, has a valid key of this kind."""
        now = self._clock()
        fixed = kind is Kind.MANAGEMENT and self._fixed is not None and keys.allows(self._fixed, header, now=now)
        if not fixed and not keys.allows(self._keys[kind], header, now=now):
            raise InvalidKey

    def renew(self, kind: str | None, header: bytes | None) -> None:
        """Replace the key of this kind. Blocks: it writes the file.

        Raises `InvalidKey` if `header` has no valid API key, or the kind is not `management` or `inference`.
        """
        try:
            self.check(Kind.API, header)
        except InvalidKey:
            raise InvalidKey("Authentication") from None
        if kind not in {Kind.MANAGEMENT.value, Kind.INFERENCE.value}:
            raise InvalidKey("Authentication")
        with self._lock:
            renewed = {**self._keys, Kind(kind): self._new()}
            self._write(renewed)
            self._keys = renewed

    def close(self) -> None:
        """Remove the file, because its keys are no longer valid. A file of another process in its place is kept."""
        with contextlib.suppress(OSError):
            if self._file and self._file.read_bytes() == self._written:
                self._file.unlink()

    def _new(self) -> Key:
        return keys.new(expires=self._clock() + self._expiration)

    def _write(self, written: Mapping[Kind, Key]) -> None:
        """Replace the file atomically, so that no client reads half of it. A symlink in its place is not followed."""
        if self._file is None:
            return
        document = keys.document(written)
        temporary = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        try:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(temporary, flags, 0o600), "wb") as sink:
                sink.write(document)
            temporary.replace(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            reason = error.strerror or type(error).__name__
            raise BadSetting(
                "SCALEZERO_KEY_FILE", value=str(self._file), allowed=f"a file that can be written ({reason})"
            ) from error
        self._written = document
        _log.info("keys written", extra={"file": str(self._file)})
