"""The transport: HTTP/1.1 and prior-knowledge HTTP/2 (h2c) on one port. It is independent of models and protocols.

    socket -> VersionDetector -> Http11 | Http2 -> Exchange: one request with its complete body
                                                       |
                 application.begin(exchange)  <--------'
                 exchange.respond(answer)       the direct path: now or in a callback, without a task
                 exchange.run(coroutine)        a task, for longer work or several steps
                 exchange.run_handler(handler)  a task that writes the response itself
                 exchange.serve(application)    an ASGI application

    messages     Request, Answer (a response)
    limits       sizes, times, the memory budget of request bodies
    connection   the common part of both versions: registration, deadlines, flow control of writes
    exchange     one request and its response
    http11       HTTP/1.1 (httptools); http11_head: a request's head; http11_exchange: its response
    http2        HTTP/2 (ngh2); http2_head: a request's head; http2_exchange: its response; http2_pace: its limits;
                 incoming: the body of a stream
    body         collects a body that arrives in pieces
    asgi         an exchange as ASGI's scope, receive and send
    server       accepting, deadlines, signals, graceful shutdown
    listener     binds a port

Only this package imports httptools and ngh2.
"""
