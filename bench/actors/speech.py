"""How an actor is spoken to: one order per line on standard input, one answer per line on standard output."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
import traceback


async def serve(actor: object) -> None:
    """Carry out orders until standard input ends.

    An order is `{"do": METHOD, ARGUMENT: VALUE, ...}`; the answer is what the method returns, or `{"error": TEXT}`. All
    coroutine methods run in this one task. What libraries print goes to standard error.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        try:
            answer = getattr(actor, order.pop("do"))(**order)
            if inspect.iscoroutine(answer):
                answer = await answer
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def said(name: str, default: str = "") -> str:
    """What the harness says through the environment: `URL`, `MARKS`, `CONCURRENCY`, ..."""
    return os.environ.get(f"BENCH_{name}", default)
