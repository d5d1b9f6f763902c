"""Ours beside the floors, measured in one run on one machine.

A floor is the least that could do the same work: what it takes is the machine's, what ours takes on top is ours. Only
the ratio of the two, measured in turns within one run, holds from one machine to the next.

    cli        which figures, with which patience
    lab        the place of one run: its cores, its models, its S3, its noise guard
    measures/  one module per figure: what is started, what is asked, what is compared
    contest    ours and floor in turns, as pairs
    servers, client, load, noise, s3, venvs   the effects: processes, requests, wrk, the machine's other users
    subjects, dialects   pure: a model's rows and right answers, and the JSON in which a server is asked for them
    grpc_methods, binary_tensors   pure: the same rows as gRPC messages and as binary tensors
    grpc_client, metrics   calls with their status, and the failures that our server has counted
    decoding   our translators alone, with a million numbers
    making, transformer, resnet   the models, and rows for them
    launches, rivals     data: how ours, the floors and the peers are started
    h2load     closed-loop load over HTTP/1.1 or HTTP/2, by one client program
    figures, report      pure: pairs -> ratio -> target met or not -> table, JSON
    floors/    the floors themselves, started as processes of their own
    attacks/   hostile clients, and the probe that asks for liveness meanwhile
    peers/     other servers in the floors' place, one folder each, for `scripts/bench peers`
    cluster/   what callers see of functions on a real Knative, for `scripts/bench cluster`
"""
