"""A WebAssembly guest as a function: HTTP requests reach it as CGI does, in WAGI's form.

cgi.py           pure: a WSGI environment -> variables and arguments; stdout -> a response
application.py   a guest as a WSGI application, so that `FunctionHost` runs it like the author's Python function
"""
