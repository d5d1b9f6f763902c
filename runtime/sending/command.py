"""The command `scalezero event`."""

import json
import sys
import time
from http import HTTPStatus
from typing import Final

import click

from runtime.artifacts.transport import Client, Limits, origin_of, proxy_of, system_context
from runtime.artifacts.wire import BrokenExchangeError
from runtime.configuration.sink import checked_url, request_target
from runtime.errors import BadSetting
from runtime.protocols.cloudevents import Mode
from runtime.sending.answers import Received, as_document, as_text, interpret
from runtime.sending.composing import Composed, Options, compose

_LARGEST: Final = 64 * 2**20  # bytes of a response


@click.group()
def command() -> None:
    """Send CloudEvents by hand."""


@command.command()
@click.argument("url")
@click.option("--type", "kind", default="com.example.event", show_default=True, help="Type of the event.")
@click.option("--source", default="/scalezero/event-send", show_default=True, help="Source of the event.")
@click.option("--id", "event_id", help="ID of the event.  [default: a random one]")
@click.option("--subject", help="Subject of the event.")
@click.option("--extension", "extensions", multiple=True, metavar="NAME=VALUE", help="Another attribute; repeatable.")
@click.option("--data", multiple=True, metavar="TEXT|@FILE", help="Data; @- is the standard input.")
@click.option("--content-type", help="Type of the data.  [default: application/json if it is JSON, else bytes]")
@click.option("--structured", is_flag=True, help="Send the event as JSON; without it, in binary mode.")
@click.option("--batch", is_flag=True, help="Send a batch: one event for each --data.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header of HTTP; repeatable.")
@click.option("--timeout", default=60.0, show_default=True, help="Longest wait for the answer, in seconds.")
@click.option("-o", "--output", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def send(  # noqa: PLR0913 - a parameter for each option
    url: str,
    *,
    kind: str,
    source: str,
    event_id: str | None,
    subject: str | None,
    extensions: tuple[str, ...],
    data: tuple[str, ...],
    content_type: str | None,
    structured: bool,
    batch: bool,
    headers: tuple[str, ...],
    timeout: float,
    form: str,
) -> None:
    """Post an event to URL, and print the reply.

    URL is that of a function, of a Broker or of another receiver. Exit code: 0 for a 2xx status, 1 for another status
    or no answer, 2 for a wrong option.
    """
    if structured and batch:
        raise BadSetting("--structured", value="with --batch", allowed="one of the two")
    mode = Mode.BATCHED if batch else Mode.STRUCTURED if structured else Mode.BINARY
    options = Options(kind, source, event_id, subject, extensions, data, content_type, mode, headers)
    try:
        received = post(url, compose(options), timeout=timeout)
    except BrokenExchangeError as error:
        click.echo(f"scalezero: {url}: {error.reason}", err=True)
        sys.exit(1)
    reply = interpret(received)
    click.echo(json.dumps(as_document(reply), indent=2, ensure_ascii=False) if form == "json" else as_text(reply))
    sys.exit(reply.exit_code)


def post(url: str, composed: Composed, *, timeout: float) -> Received:
    """Post a request. Raises `BadSetting` for an invalid URL, and `BrokenExchangeError` if there is no answer."""
    origin = origin_of(checked_url(url, name="URL"))
    client = Client(
        origin,
        limits=Limits(stall=timeout, deadline=timeout),
        tls=system_context() if origin.scheme == "https" else None,
        proxy=proxy_of(origin),
        https_advice=f"use https://{origin.address}",
    )
    began = time.perf_counter()
    try:
        message = client.render_request(
            "POST", request_target(url), _headers(origin.authority, composed), body=composed.body
        )
    except ValueError as error:
        raise BadSetting("--header", value=str(error), allowed="printable text") from error
    response = client.exchange(message)
    body = b""
    for piece in response.pieces():
        body += piece
        if len(body) > _LARGEST:
            response.close()
            raise BrokenExchangeError(f"the answer has more than {_LARGEST} bytes")
    head = response.head
    return Received(head.status, _reason(head.status), head.headers, body, time.perf_counter() - began)


def _headers(authority: str, composed: Composed) -> dict[str, str]:
    """Return all headers; `render_request` adds the length only to a request with a body."""
    fixed = {"host": authority, "user-agent": "scalezero", "accept": "*/*", "prefer": "reply"}
    length = {} if composed.body else {"content-length": "0"}
    return {**fixed, **composed.headers, **length}


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
