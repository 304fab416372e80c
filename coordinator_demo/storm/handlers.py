"""What the workers of the storm run: `python -m workers run coordinator_demo.storm.handlers:jobs`."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from coordinator import Adaptive, RetryPolicy
from coordinator_demo.storm.dependency import ask
from coordinator_demo.storm.plan import (
    ALARM,
    BANK,
    CHARGE,
    DIGEST,
    MAIL,
    MAIL_TAKES,
    QUICK,
    REPORT,
    REPORT_BASE,
    STUCK,
)
from workers import Context, Registry

jobs = Registry()


# As few attempts as usual: probes that fail while the bank is down cost none.
@jobs.handler(CHARGE, breaker=BANK, retry=RetryPolicy(base=0.5, cap=2))
async def charge(ctx: Context, _payload: Any) -> None:
    """Ask the bank."""
    await ask("charge", ctx.id)


# Being slow is the lesson here, and no reason to hold reports back.
@jobs.handler(
    REPORT,
    timeout=Adaptive(base=REPORT_BASE),
    breaker=False,
    retry=RetryPolicy(max_attempts=20, strategy="fixed", base=0.2, jitter=0),
)
async def report(ctx: Context, _payload: Any) -> None:
    """Ask for a report."""
    await ask("report", ctx.id)


@jobs.handler(DIGEST)
async def digest(ctx: Context, payload: dict[str, Any]) -> dict[str, Any]:
    """Ask for a digest; whose run it was stands in the answer."""
    await ask("digest", ctx.id)
    return {"day": payload["day"], "made_by": ctx.id}


@jobs.handler(MAIL)
async def mail(_ctx: Context, _payload: Any) -> None:
    """Take a slot for a while."""
    await asyncio.sleep(MAIL_TAKES)


@jobs.handler(ALARM)
@jobs.handler(QUICK)
async def quick(_ctx: Context, _payload: Any) -> None:
    """Nothing takes less."""


@jobs.handler(STUCK)
async def stuck(_ctx: Context, payload: dict[str, Any]) -> None:
    """Keep the event loop, as code does that forgets that it is not alone."""
    time.sleep(payload["seconds"])  # noqa: ASYNC251  (that is the mistake that is shown)
