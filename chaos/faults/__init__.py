"""What can be done to the servers of a run: ways to hurt them, each usable by itself.

Where a fault needs a privilege or a program that this machine lacks, it raises `Unavailable` with the reason as it is
set up, and the scenario that wanted it says so instead of passing. Once a run has begun that is an error of the run.
"""
