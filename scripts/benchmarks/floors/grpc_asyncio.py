"""A gRPC server as in a tutorial, with grpcio's asyncio API: one session, one run per call.

usage: python -m scripts.benchmarks.floors.grpc_asyncio MODEL PORT

It serves ml.v1.InferenceService/Predict. No batching, no validation, no deadline, no metrics. It uses only the messages
of the project. The floor of grpc_peer.
"""

import sys
import time

import grpc
import numpy as np
import uvloop

from runtime.protocols.protos.ml_v1_pb2 import PredictRequest, PredictResponse
from scripts.benchmarks.floors.foundation import open_session


async def serve(model: str, port: int) -> None:
    """Serve until killed."""
    session = open_session(model)
    name, width = session.get_inputs()[0].name, session.get_inputs()[0].shape[-1]

    async def predict(request: PredictRequest, _: grpc.aio.ServicerContext) -> PredictResponse:
        started = time.perf_counter()
        rows = np.array(request.inputs, np.float32).reshape(-1, width)
        scores = session.run(None, {name: rows})[0]
        return PredictResponse(outputs=scores.ravel().tolist(), latency_ms=(time.perf_counter() - started) * 1e3)

    handler = grpc.unary_unary_rpc_method_handler(
        predict,
        request_deserializer=PredictRequest.FromString,
        response_serializer=PredictResponse.SerializeToString,
    )
    server = grpc.aio.server()
    service = grpc.method_handlers_generic_handler("ml.v1.InferenceService", {"Predict": handler})
    server.add_generic_rpc_handlers((service,))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
