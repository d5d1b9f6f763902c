"""The program of scripts/protos."""
