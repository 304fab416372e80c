"""From the arguments of the public interface to wire form, checked; shared by both clients and the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol

from coordinator.errors import InvalidInput
from coordinator.model import codec
from coordinator.model.names import MAX_SECONDS, Priority, milliseconds, one_of, request_id, text
from coordinator.model.need import Need, needs_of
from coordinator.policy.rules import NO_RULES, Attributes, RuleSet
from coordinator.policy.timeout import ADAPTIVE, Learnt, Wait
from coordinator.wire.calls import LockAsk
from coordinator.wire.needs import to_wire

# None: by the rules of priority, if there are any, else normal.
Urgency = Priority | int | str | None
NORMAL = int(Priority.NORMAL)
Needs = str | Need | Iterable[str | Need]
OPTIONS = ("ttl", "owner", "reason", "metadata", "within", "reentrant", "on_preempt", "grace", "durability")
# What may be asked of a single grant; all else is the server's.
REPLICATED = ("replicated",)
# How long a job has to wind up that is asked to cancel, in seconds.
GRACE = 30.0


class Said(Protocol):
    """What somebody says of what they ask for."""

    @property
    def owner(self) -> str:
        """For whom."""

    @property
    def reason(self) -> str:
        """Why."""


class Held(Protocol):
    """A lock that is held."""

    @property
    def ident(self) -> str:
        """The id of its request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockOptions:
    """All of a lock request but what it needs. Durations in seconds; `wait` None is without end, 0 not at all,
    `"adaptive"` for the fleet to say."""

    priority: Urgency = None
    wait: Wait = None
    ttl: float | None = None
    owner: str = ""
    reason: str = ""
    metadata: Mapping[str, Any] | None = None
    within: Held | str | None = None
    reentrant: bool = False
    on_preempt: str | None = None
    grace: float | None = None
    durability: str | None = None


# Of a lock about which nothing is said, there is nothing to be checked each time.
USUAL = LockOptions()


def lock_options(priority: Urgency, wait: Wait, given: Mapping[str, Any]) -> LockOptions:
    """Options by name. Raises InvalidInput for an unknown one, naming the nearest that is known."""
    if priority is None and wait is None and not given:
        return USUAL
    for name in given:
        one_of(name, "option", OPTIONS)
    if given.get("reentrant") and not given.get("owner"):
        raise InvalidInput(
            "owner", given.get("owner", ""), "must be given for a re-entrant lock: who may have it again"
        )
    return LockOptions(priority=priority, wait=wait, **given)


def refuse_bad(given: Mapping[str, Any]) -> None:
    """Raises InvalidInput for options that a lock request would be refused for whatever it is for."""
    rest = dict(given)
    check(needs_of("any"), lock_options(rest.pop("priority", None), rest.pop("wait", None), rest), MAX_SECONDS)


def check(wanted: tuple[Need, ...], options: LockOptions, max_hold: float) -> None:
    """Raises InvalidInput as `lock_ask` does."""
    lock_ask("", wanted, replace(options, wait=None) if options.wait == ADAPTIVE else options, max_hold)


def once(options: LockOptions) -> LockOptions:
    """The options of what stands in line as a request of its own. Raises InvalidInput for a re-entrant one."""
    if options.reentrant:
        raise InvalidInput("reentrant", True, "is for lock, acquire and try_acquire")
    return options


def lock_ask(
    ident: str, wanted: tuple[Need, ...], options: LockOptions, max_hold: float, rules: RuleSet = NO_RULES
) -> LockAsk:
    """The wire form of a lock request, its priority by the rules if it is given none. Raises InvalidInput."""
    if options is USUAL and not rules:
        return LockAsk(ident, NORMAL, to_wire(wanted), False, None, _hold_ms(max_hold))
    hold = max_hold if options.ttl is None else options.ttl
    hold_ms = milliseconds(hold, "ttl", least=0.05)
    if hold > max_hold:
        raise InvalidInput("ttl", hold, f"must be at most max_hold ({max_hold:g} s)")
    wait_ms = None if options.wait is None else milliseconds(options.wait, "wait")
    preempt = preemption(options.on_preempt, options.grace)
    if preempt and wait_ms == 0:
        raise InvalidInput("on_preempt", options.on_preempt, "is for those who wait")
    priority, rule = chosen(options.priority, rules, lambda: _attributes(wanted, options))
    return LockAsk(
        ident=ident,
        priority=priority,
        needs=to_wire(wanted),
        trying=wait_ms == 0,
        wait_ms=wait_ms or None,
        hold_ms=hold_ms,
        owner=text(options.owner, "owner"),
        reason=text(options.reason, "reason"),
        metadata=codec.metadata_text(options.metadata),
        adaptive=isinstance(options.wait, Learnt),
        least_ms=milliseconds(options.wait.least, "wait") if isinstance(options.wait, Learnt) else None,
        rule=rule,
        preempt=preempt,
        replicated=options.durability is not None and one_of(options.durability, "durability", REPLICATED) != "",
        within="" if options.within is None else request_id(getattr(options.within, "ident", options.within), "within"),
    )


@lru_cache(maxsize=64)
def _hold_ms(hold: float) -> int:
    return milliseconds(hold, "ttl", least=0.05)


def preemption(on_preempt: str | None, grace: float | None) -> str:
    """What less urgent holders are asked, as it travels. Raises InvalidInput."""
    if on_preempt is not None:
        one_of(on_preempt, "on_preempt", ("ask", "cancel_job"))
    if on_preempt == "cancel_job":
        return f"cancel {milliseconds(GRACE if grace is None else grace, 'grace')}"
    if grace is not None:
        raise InvalidInput("grace", grace, 'must be given with on_preempt="cancel_job", and only then')
    return on_preempt or ""


def chosen(given: Urgency, rules: RuleSet, attributes: Callable[[], Attributes]) -> tuple[int, str]:
    """The priority of a request, and the rule that chose it if none was given. Raises InvalidInput."""
    if given is not None:
        return int(Priority.of(given)), ""
    if rules is NO_RULES or not rules:
        return NORMAL, ""
    found = rules.choose(attributes())
    return int(found.priority), found.rule


def _attributes(needs: Iterable[Need], options: LockOptions) -> Attributes:
    """What rules can look at."""
    return {
        "kind": "lock",
        "resources": [one.resource for one in needs],
        "owner": options.owner,
        "reason": options.reason,
        "metadata": options.metadata or {},
    }


def timeout(seconds: float | None) -> float | None:
    """A timeout of a wait; None waits without end. Raises InvalidInput."""
    if seconds is None:
        return None
    milliseconds(seconds, "timeout")
    return min(seconds, MAX_SECONDS)
