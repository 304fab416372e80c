"""Checks of fences where the writes go: databases, Redis, HTTP services and files. docs/fencing.md

A lock alone cannot stop a process that was paused while its lease ran out: it goes on where it stood, beside the next
holder. What is written has to be refused by whatever it is written to, and these helpers are how.
"""

from coordinator.fencing.files import guarded_file, replace_file
from coordinator.fencing.http import HEADER, FenceASGI, FenceWSGI, MemoryFences, RedisFences, header
from coordinator.fencing.redis import afenced, fenced
from coordinator.fencing.sql import checked, fenced_statement, fenced_update, update_statement

__all__ = [
    "HEADER",
    "FenceASGI",
    "FenceWSGI",
    "MemoryFences",
    "RedisFences",
    "afenced",
    "checked",
    "fenced",
    "fenced_statement",
    "fenced_update",
    "guarded_file",
    "header",
    "replace_file",
    "update_statement",
]
