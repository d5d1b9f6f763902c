"""Attacks of hostile clients on a server of this run, and the latency of its liveness check during an attack.

    bodies     pure: request bodies just below the size limit, each expensive in a different way
    protocols  pure: such bodies for the other protocols
    sending    sends such a body over HTTP/1.1
    http11     many HTTP/1.1 connections that send slowly or never read
    http2      one HTTP/2 connection with many streams
    every      the attacks by name
    program    runs one attack in its own process, with a low priority, so that the benchmark can kill it
    probe      requests /healthz/live repeatedly, in its own process
    waits      pure: the longest wait and the 99th percentile
    running    runs one attack against one server, from start to end

Only 127.0.0.1 is attacked. Attack and probe share a core that the server does not use.
"""
