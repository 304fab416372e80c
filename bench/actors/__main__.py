"""`python -m bench.actors NAME`: the actor of that name takes orders; with `work` behind it, it is a worker instead.

A library is imported through its actor's module and never as the main program, so that its tasks have the same names
on both sides.
"""

from __future__ import annotations

import asyncio
import importlib
import sys

from bench.actors.speech import serve

name, *rest = sys.argv[1:]
module = importlib.import_module(f"bench.actors.{name}")
asyncio.run(module.work() if rest == ["work"] else serve(module.Actor()))
