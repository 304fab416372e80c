"""How many retries a handler may have, in the whole fleet: never more than a share of its successes and a floor.

When what a handler talks to is down, retries are the load that keeps it down. So each handler has an account of tokens.
A success pays in a tenth of one, time pays in the floor (10 a second), and every retry takes one. What is paid in lasts
for about a window (10 s): the account holds at most the floor's window and, of the successes, a sum that fades with the
window as its time constant. These are the figures of Finagle's retry budget, but for the share, which is half of its.

With s successes paid in since the account was last looked at, dt seconds ago, and e = exp(-dt / window):

    earned = earned * e + share * s * (window / dt) * (1 - e)
    tokens = min(tokens + floor * dt + share * s, floor * window + earned)

A retry always takes its token. If the account is overdrawn by k it is put off by at least k / floor seconds: until the
floor alone has paid for it and for all that were put off before. Therefore, at any time, the retries that have begun
are at most (what was in the account) + share * successes + floor * time: whichever of them took its token last had been
paid for, with all before it, when it began.

Put off, and not failed: a client of a service that runs out of budget is told so at once, because somebody waits for
the answer. A job was accepted to be run, nobody's call hangs on it, and it has attempts left; what its user expects of
a budget is the bound on the load, and that holds either way. A job with a deadline still ends by that.

`lib/budget.lua` does this for the fleet, in milliseconds and thousandths of a token; here it is as values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

SHARE = 0.1
FLOOR = 10.0
WINDOW = 10.0
TOKEN = 1000


@dataclass(frozen=True, slots=True)
class Budget:
    """A share of successes per mille, retries in 1000 s, and a window in ms."""

    share: int = round(SHARE * 1000)
    floor: int = round(FLOOR * 1000)
    window: int = round(WINDOW * 1000)

    @property
    def reserve(self) -> int:
        """What an account has that nobody has used, in thousandths of a token."""
        return self.floor * self.window // TOKEN


@dataclass(frozen=True, slots=True)
class Account:
    """One handler's account, in thousandths of a token, as it was looked at `at` ms, and the successes since."""

    tokens: int
    earned: int
    at: int
    successes: int = 0


@dataclass(frozen=True, slots=True)
class Allowed:
    """Whether a retry may follow its policy (`wait` 0) or is put off to `wait` ms, behind `behind` others."""

    wait: int
    behind: int


def opened(budget: Budget, now: int) -> Account:
    """An account that nobody has used."""
    return Account(budget.reserve, 0, now)


def succeeded(account: Account, times: int) -> Account:
    """The account after so many successes."""
    return replace(account, successes=account.successes + times)


def looked_at(budget: Budget, account: Account, now: int) -> Account:
    """The account with all paid in up to `now`."""
    passed = max(0, now - account.at)
    paid = budget.share * account.successes
    left = math.exp(-passed / budget.window)
    spread = budget.window / passed * (1 - left) if passed else 1.0
    earned = math.floor(account.earned * left + paid * spread)
    full = budget.reserve + earned
    return Account(min(account.tokens + budget.floor * passed // TOKEN + paid, full), earned, max(now, account.at))


def spent(budget: Budget, account: Account, now: int) -> tuple[Account, Allowed]:
    """The account after a retry, and when that may begin."""
    seen = looked_at(budget, account, now)
    after = replace(seen, tokens=seen.tokens - TOKEN)
    short = max(0, -after.tokens)
    return after, Allowed(math.ceil(short * TOKEN / budget.floor), math.ceil(short / TOKEN))
