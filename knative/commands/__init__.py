"""The verbs of `scalezero` that know the cluster, one module each; `runtime.cli` loads them when they are asked for."""
