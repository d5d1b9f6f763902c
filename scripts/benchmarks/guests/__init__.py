"""WebAssembly guests in C for the measurements, and the programs that run and publish them.

compute.c      a guest that computes many times, and prints how long one call took
building.py    C -> a guest
computing.py   a process with a model: the time of one computation, by the guest or by its floor
publishing.py  a guest -> S3, with its compiled code
"""
