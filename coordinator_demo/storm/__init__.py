"""The storm: a fleet under a scripted workload that goes wrong in five ways at once, and a verdict on each of them.

A dependency fails, another one becomes twice as slow, one queue is flooded, one job keeps its worker's event loop, and
a hundred callers ask for the same thing. What is claimed is judged at the end from what was recorded: records,
counters, events and metrics in Redis, the dependency's own book, and what each application saw.
"""
