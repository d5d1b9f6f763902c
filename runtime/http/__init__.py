"""The transport: HTTP/1.1 and prior-knowledge HTTP/2 (h2c) on one port.

It knows requests and answers, no model and no protocol.

    socket -> Greeting (which HTTP?) -> Http11 | Http2 -> Exchange: one request whose body is whole
                                                              |
                        application.begin(exchange)  <--------'
                        exchange.respond(answer)      the direct path: now or from a callback, without a task
                        exchange.run(coroutine)       what takes longer, or several steps
                        exchange.serve(application)   over ASGI, for an application that speaks it

    messages     Request, Answer
    limits       what a client may take: sizes, times, the budget of bodies in memory
    connection   what both versions share: registration, deadlines, the pace of writing
    exchange     one request and its answer
    http11       HTTP/1.1 (httptools); http11_head and http11_exchange: a request's head, and its answer
    http2        HTTP/2 (ngh2); http2_exchange: a request on one stream, and its answer; http2_pace: its sizes and times
    asgi         an exchange as ASGI's scope, receive and send
    server       accepting, the clock, signals, the orderly end

The only importer of httptools and ngh2.
"""
