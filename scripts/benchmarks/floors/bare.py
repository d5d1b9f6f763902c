"""A minimal model server: the necessary imports, one session, one run per request.

usage: python -m scripts.benchmarks.floors.bare MODEL PORT

No batching, no validation, no metrics. It reads the model from disk, with nothing in parallel. `{"inputs": [row]}` or
`{"inputs": row}` is answered by `{"outputs": [...]}`, flat. The floor of cold_start, memory and lone_latency.
"""

import sys

import numpy as np
import onnxruntime as ort
import orjson
import uvicorn

from scripts.benchmarks.floors.foundation import Application, Message, Receive, Send, open_session


def application(session: ort.InferenceSession) -> Application:
    """Return the ASGI application. The body of a request is one row."""
    name = session.get_inputs()[0].name

    async def answer(_scope: Message, receive: Receive, send: Send) -> None:
        message = await receive()
        body = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        row = np.array(orjson.loads(body)["inputs"], dtype=np.float32).reshape(1, -1)
        scores = session.run(None, {name: row})[0]
        text = orjson.dumps({"outputs": scores.ravel().tolist()})
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(text))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    return answer


def main() -> None:
    """Serve until killed."""
    model, port = sys.argv[1], int(sys.argv[2])
    uvicorn.run(
        application(open_session(model)),
        port=port,
        http="zttp",
        http2=True,
        loop="uvloop",
        lifespan="off",
        access_log=False,
        log_level="error",
    )


if __name__ == "__main__":
    main()
