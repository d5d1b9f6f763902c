"""The prediction log: each prediction as a CloudEvent, posted to a sink or appended to a file.

    outcome ──► log.py: sampled, kept in a bounded queue, or dropped and counted      on the answer's path: microseconds
                   │
                   ▼  later, in slices of half a millisecond, at the pace of pace.py
                encoding.py: document.py (the data) in envelope.py (the attributes)
                   │
                   ├──► posting.py: POST to K_SINK, by connection.py, responses.py and delivery.py
                   └──► writing.py: one line for each event

opening.py builds it from the settings. Nothing here is imported if the log is off.
"""
