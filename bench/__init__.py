"""Measures Coordinator side by side with other job queues and locks, each in an environment of its own."""
