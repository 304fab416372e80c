"""The fleet's side of Coordinator: what takes jobs and runs them."""

__version__ = "0.1.0"
