"""AWS Signature Version 4 for a request without a body, in the Authorization header. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hmac
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

EMPTY = sha256(b"").hexdigest()
ALGORITHM = "AWS4-HMAC-SHA256"


class Keys(NamedTuple):
    """AWS credentials."""

    access_key_id: str
    secret_access_key: str
    token: str | None = None  # of a session

    def __repr__(self) -> str:
        """Return a representation without the secrets, because it may be logged."""
        return f"Keys(access_key_id={self.access_key_id!r})"


def quoted(text: str, *, safe: str = "") -> str:
    """Percent-encode for the signature: all characters except letters, digits, - . _ ~ and those in `safe`."""
    return quote(text, safe=f"-._~{safe}")


def sign(
    headers: Mapping[str, str], *, path: str, query: str, keys: Keys, region: str, now: datetime
) -> dict[str, str]:
    """Return the headers of a GET with those of its signature. All `headers` are signed; they must contain `host`.

    `path` and `query` must be percent-encoded, with the query's parameters sorted by name. `now` is in UTC.
    """
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    signed = {**headers, "x-amz-content-sha256": EMPTY, "x-amz-date": stamp}
    if keys.token:
        signed["x-amz-security-token"] = keys.token
    names = sorted(signed)
    canonical = "\n".join(
        ["GET", path, query, *(f"{name}:{signed[name].strip()}" for name in names), "", ";".join(names), EMPTY]
    )
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    to_sign = "\n".join([ALGORITHM, stamp, scope, sha256(canonical.encode()).hexdigest()])
    signature = hmac.new(_signing_key(keys, scope), to_sign.encode(), sha256).hexdigest()
    credential = f"{keys.access_key_id}/{scope}"
    signed["authorization"] = (
        f"{ALGORITHM} Credential={credential}, SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return signed


def _signing_key(keys: Keys, scope: str) -> bytes:
    key = f"AWS4{keys.secret_access_key}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), sha256).digest()
    return key
