"""TorchServe's protocol: `inference` (REST) and `calls` (gRPC)."""
