"""One page of S3's ListObjectsV2: what to ask, and what the answer says. Pure.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

import re
from typing import Final, NamedTuple
from urllib.parse import unquote_plus

from runtime.artifacts.signature import quoted

MOST_BYTES: Final = 8 * 2**20  # of a page: 1,000 keys of at most 1 KiB each, percent-encoded, and what is said of them
# Patterns are compiled when a folder is listed: a start that lists none pays nothing.
_KEY: Final = r"<Key>([^<]*)</Key>"
_NEXT: Final = r"<NextContinuationToken>([^<]+)</NextContinuationToken>"
_TRUNCATED: Final = r"(?i)<IsTruncated>\s*true\s*</IsTruncated>"
_ENCODED: Final = r"<EncodingType>\s*url\s*</EncodingType>"
_ENTITIES: Final = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&#39;": "'", "&#34;": '"', "&amp;": "&"}


class Page(NamedTuple):
    """The keys of one page, and what continues the listing; None: it was the last one."""

    keys: list[str]
    token: str | None


def page_query(prefix: str, token: str | None) -> str:
    """The query of a request for the next page, its parameters in the order that the signature wants."""
    parameters = {"continuation-token": token, "encoding-type": "url", "list-type": "2", "prefix": prefix}
    return "&".join(f"{name}={quoted(value)}" for name, value in parameters.items() if value is not None)


def parse_page(body: bytes) -> Page:
    """Read an answer. Raises ValueError where it is no listing."""
    text = body.decode("utf-8", "replace")
    if "</ListBucketResult>" not in text:
        raise ValueError("the answer is no listing")
    keys = [_plain(key) for key in re.findall(_KEY, text)]
    if re.search(_ENCODED, text):
        keys = [unquote_plus(key) for key in keys]
    token = re.search(_NEXT, text)
    if token is None and re.search(_TRUNCATED, text):
        raise ValueError("the listing is cut off, and nothing says how it goes on")
    return Page(keys, _plain(token[1]) if token else None)


def _plain(text: str) -> str:
    """The text without XML's own entities; `&amp;` is the last one, so that nothing is read twice."""
    for entity, character in _ENTITIES.items():
        text = text.replace(entity, character)
    return text
