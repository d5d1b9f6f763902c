"""TorchServe's APIs: inference over REST (`frontends.grpc.torchserve` has the gRPC methods), management and metrics."""
