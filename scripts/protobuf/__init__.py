"""What scripts/protos runs."""
