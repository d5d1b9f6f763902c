"""One page of S3's ListObjectsV2: the query of the request, and the parser of the response. Pure.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

import re
from typing import Final, NamedTuple
from urllib.parse import unquote_plus

from runtime.artifacts.signature import quoted

MAX_PAGE_BYTES: Final = 8 * 2**20  # enough for 1,000 keys of at most 1 KiB each, percent-encoded, with their attributes
# The patterns are compiled when a folder is listed, so that other starts do not pay for them.
_KEY: Final = r"<Key>([^<]*)</Key>"
_NEXT: Final = r"<NextContinuationToken>([^<]+)</NextContinuationToken>"
_TRUNCATED: Final = r"(?i)<IsTruncated>\s*true\s*</IsTruncated>"
_ENCODED: Final = r"<EncodingType>\s*url\s*</EncodingType>"
_ENTITIES: Final = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&#39;": "'", "&#34;": '"', "&amp;": "&"}


class Page(NamedTuple):
    """One page of a listing."""

    keys: list[str]
    token: str | None  # for the next page; None: this is the last page


def page_query(prefix: str, token: str | None, *, deep: bool = True) -> str:
    """Return the query of a request for a page, with its parameters in the order that the signature requires.

    Unless `deep`, keys with a slash after the prefix are left out.
    """
    parameters = {
        "continuation-token": token,
        "delimiter": None if deep else "/",
        "encoding-type": "url",
        "list-type": "2",
        "prefix": prefix,
    }
    return "&".join(f"{name}={quoted(value)}" for name, value in parameters.items() if value is not None)


def parse_page(body: bytes) -> Page:
    """Parse a response. Raises ValueError if it is not a complete page of a listing."""
    text = body.decode("utf-8", "replace")
    if "</ListBucketResult>" not in text:
        raise ValueError("the response is not a listing; expected a ListBucketResult")
    keys = [_unescape(key) for key in re.findall(_KEY, text)]
    if re.search(_ENCODED, text):
        keys = [unquote_plus(key) for key in keys]
    token = re.search(_NEXT, text)
    if token is None and re.search(_TRUNCATED, text):
        raise ValueError("the listing is truncated and has no NextContinuationToken")
    return Page(keys, _unescape(token[1]) if token else None)


def _unescape(text: str) -> str:
    """Replace the entities of XML. `&amp;` is the last one, so that no text is replaced twice."""
    for entity, character in _ENTITIES.items():
        text = text.replace(entity, character)
    return text
