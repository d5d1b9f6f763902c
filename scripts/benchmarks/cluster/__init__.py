"""Benchmarks of functions on a real Knative, measured by a caller, for `scripts/bench cluster`.

cli            the command; it runs inside the cluster of scripts/cluster unless KUBECONFIG names another cluster
place          the effects: the run's own namespace, its deployments, its pods
asking         the effects: one request, or a bounded load, with the result of each request
cold_start, split, rollout, scale_out    one measurement each
functions      data: the hello-world function, and the one that scales out
outcomes       pure: measured values -> target met or not -> table, JSON
"""
