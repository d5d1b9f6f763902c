"""Fuzz tests: invalid requests of every protocol over real sockets. Every answer must follow the same rules.

law          the rules for an answer, by its path
conftest     the server under test; at the end of the tests it must still be live and have released all resources
test_*       paths, bodies, gRPC messages, clients that disconnect
"""
