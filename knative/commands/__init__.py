"""The commands of `scalezero` that need a cluster, one module each. `runtime.cli` imports a module when it is used."""
