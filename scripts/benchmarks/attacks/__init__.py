"""What hostile clients do to a server of this run, and how soon a health check is answered meanwhile.

    bodies     pure: request bodies just below the size limit, each costly in its own way
    protocols  pure: such bodies of the other protocols
    sending    sends such a body over HTTP/1.1
    http11     many HTTP/1.1 connections that send slowly or never read
    http2      one HTTP/2 connection with many streams
    every      the attacks by name
    program    runs one attack in a process of its own, at a low priority, so that the bench can kill it
    probe      asks /healthz/live over and over, in a process of its own
    waits      pure: the longest wait and the 99th percentile
    running    one attack against one server, from start to end

Only 127.0.0.1 is attacked. Attack and probe share a core, which is not the server's.
"""
