"""KServe's InferenceRESTClient with the V1 protocol. Argument: `PORT`. Prints the results as JSON."""

import asyncio
import json
import sys

import httpx
from kserve import InferenceRESTClient, RESTConfig

URL = f"http://127.0.0.1:{sys.argv[1]}"


async def error_of(call):
    """Return the status of the client's exception, and the error in the answer."""
    try:
        await call
    except httpx.HTTPStatusError as error:
        return [error.response.status_code, error.response.json()["error"]]
    return []


async def main():
    config = RESTConfig(protocol="v1", transport=httpx.AsyncHTTPTransport(), timeout=60)
    client = InferenceRESTClient(config)
    rows = {"instances": [{"a": [1, 2], "b": [0.5, 0.25]}, {"a": [3, 4], "b": [0, 0]}]}
    results = {
        "live": await client.is_server_live(URL),
        "ready": await client.is_model_ready(URL, "m"),
        "predictions": await client.infer(URL, rows, model_name="m"),
        "unknown_model": await error_of(client.infer(URL, rows, model_name="x")),
        "unknown_ready": await error_of(client.is_model_ready(URL, "x")),
        "wrong": await error_of(client.infer(URL, {"instances": 5}, model_name="m")),
        "explanation": await error_of(client.explain(URL, "m", rows)),
    }
    await client.close()
    sys.stdout.write(json.dumps(results))


asyncio.run(main())
