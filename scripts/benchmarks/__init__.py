"""Benchmarks: scalezero ("ours") compared with floors, in one run on one machine.

A floor is a minimal program that does the same work. Its cost is that of the machine and the libraries; the rest of
ours is the cost of scalezero. Only the ratio of the two is comparable between machines, and only if both are measured
alternately in one run.

    cli        the commands: which figures, on which cores, how often
    lab        the resources of one run: cores, models, S3, noise guard
    measures/  one module per figure: the servers, the requests, the comparison
    contest    measures ours and the floor alternately, as pairs
    servers, client, load, noise, s3, venvs   the effects: processes, requests, wrk, load of other processes
    subjects, dialects   pure: a model's rows and expected answers, and the JSON format of a server's requests
    grpc_methods, binary_tensors   pure: the same rows as gRPC messages and as binary tensors
    grpc_client, metrics   gRPC calls with their status, and the failures that our server counts
    decoding   our translators alone, with a million numbers
    making, transformer, resnet   the models, and rows for them
    launches, rivals     data: how to start ours, the floors and the peers
    h2load     closed-loop load over HTTP/1.1 or HTTP/2, by one client program
    figures, report      pure: pairs -> ratio -> target met or not -> table, JSON
    floors/    the floors, each started as its own process
    attacks/   hostile clients, and the liveness probe that runs during an attack
    peers/     other servers, one folder each, compared instead of the floors by `scripts/bench peers`
    cluster/   functions on a real Knative, measured by a caller, for `scripts/bench cluster`
"""
