"""TorchServe's APIs: inference over REST (`frontends.grpc.torchserve` has its gRPC methods), management and metrics."""
