"""Micro-batching: concurrent requests share runs; a single request waits for others only if that saves time."""
