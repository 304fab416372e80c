"""Saying that a fault cannot be had on this machine."""

from __future__ import annotations


class Unavailable(Exception):
    """This machine lacks something that the fault needs. The message says what, and how to get it."""
