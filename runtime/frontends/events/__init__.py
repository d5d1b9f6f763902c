"""CloudEvents over HTTP: `POST /events`, and the events that are posted to `/`.

    recognizing   whether a request is an event; all that a process imports before its first event
    handler       reads an event, and answers it once: from the window, with the flight of its first delivery, or anew
    window        pure: the replies to recent events, by source and id, bounded in time, number and bytes
    flights       the events that are being answered, each with all deliveries that wait for its reply
    inference     the model as answerer: an event -> tensors -> the data of a reply
    replies       pure: the attributes of a reply, and a reply in the mode of its request
    kserve        the events that are posted to routes of KServe, answered as KServe does

The author's function answers events too, if it has an event target: see `frontends.functions`.
Sources: CloudEvents 1.0.2, HTTP protocol binding; Knative Eventing, data plane specification.
"""
