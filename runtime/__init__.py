"""scalezero's runtime: everything that runs inside the pod. Importing it loads no third-party library."""
