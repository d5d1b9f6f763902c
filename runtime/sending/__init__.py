"""`scalezero event send`: posts an event by hand, and prints the reply.

composing.py   options -> events -> an HTTP request
answers.py     the response -> what is printed, and the exit code
command.py     the command
"""
