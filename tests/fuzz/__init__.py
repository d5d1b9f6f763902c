"""What no client sends by intent: every protocol is fed with garbage over real sockets, and held to one law.

law          what an answer has to be, by its path
conftest     the server under test; whatever a test sent, it lives at the end and holds nothing
test_*       paths, bodies, gRPC messages, clients that leave
"""
