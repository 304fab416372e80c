"""Proves the invariants of a live namespace, and puts right what is broken.

Three passes: a census over all keys, an audit of every request, an audit of every resource. Each subject is judged by
one script, at one moment, so traffic is never mistaken for a fault; what the census finds is looked at a second time
before it is reported. With `fix` this is repeated until nothing is found that can be mended: what one fault was hiding
comes up in the next round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice

from coordinator.client import Coordinator
from coordinator.drivers.census import Census
from coordinator.drivers.connect import sync_client
from coordinator.drivers.demands import Demands
from coordinator.drivers.store import OLDEST, Store
from coordinator.errors import Corrupt, ProtocolError
from coordinator.keys import key, prefix
from coordinator.model.names import milliseconds
from coordinator.model.terms import Terms
from coordinator.ops import configuring
from coordinator.ops import doctor as judge
from coordinator.ops.doctor import Finding, KeyFault, Report, Subjects, shown
from coordinator.wire import calls
from coordinator.wire.replies import expect, number, readable
from coordinator.wire.step import Call

ROUNDS = 3
MAX_SWEEPS = 200
KEYS_PER_CALL = 200
TELL_EVERY = 100

Progress = Callable[[int, int], None]


def examine(
    coordinator: Coordinator, *, fix: bool = False, grace: float | None = None, progress: Progress | None = None
) -> Report:
    """Examine the namespace of a client; with `fix` also mend it.

    What lapsed less than `grace` seconds ago is the sweep's business and no fault (default: two sweep intervals and a
    second). `progress` is told how many requests and resources have been audited, and of how many. Works on a server
    that clients refuse as unsafe, and says why they do. Raises StoreUnavailable, UnknownOutcome, InvalidInput.
    """
    settings = coordinator.settings
    seconds = 2 * settings.sweep_interval + 1 if grace is None else grace
    grace_ms = milliseconds(seconds, "grace", least=0.0)
    driver = coordinator._driver
    client = sync_client(driver.target, settings.operation_timeout, 1)
    with closing(Store(client, Demands(settings.retry_for, allow_unsafe=True))) as store, readable():
        return _Examination(store, driver.scope, settings.terms(), grace_ms, progress).run(fix)


class _Look:
    """What one round found: the findings, and what is needed to mend them."""

    def __init__(self) -> None:
        self.keys: list[KeyFault] = []
        self.requests: list[tuple[bytes, tuple[bytes, ...]]] = []
        self.resources: list[bytes] = []
        self.findings: list[Finding] = []
        self.checked = 0

    @property
    def curable(self) -> bool:
        """Whether there is anything to mend."""
        return bool(self.requests or self.resources or any(one.cure != "none" for one in self.keys))


class _Examination:
    def __init__(
        self, store: Store, scope: calls.Scope, terms: Terms, grace_ms: int, progress: Progress | None
    ) -> None:
        self._store, self._scope, self._grace_ms, self._progress = store, scope, grace_ms, progress
        self._keep_ms = terms.result_ms
        self._prefix = prefix(scope.namespace)
        self._census = Census(store, scope.meta)

    def run(self, fix: bool) -> Report:
        info, version = self._census.info, self._census.version
        first = judge.server_findings(info, version, OLDEST)
        unfit = self._unfit() if version >= OLDEST else None
        if version < OLDEST or unfit:
            return Report((*first, *filter(None, [unfit])), 0, judge.server_line(info))
        crowd = self._crowd(fix)
        if crowd and not crowd.fixed:
            return Report((*first, crowd), 0, judge.server_line(info))
        look, mended = self._look(), [crowd] if crowd else []
        for _ in range(ROUNDS if fix else 0):
            if not look.curable:
                break
            mended += look.findings
            self._mend(look)
            look = self._look()
        still = {(one.kind, one.subject) for one in look.findings}
        done = dict.fromkeys(replace(one, fixed=True) for one in mended if (one.kind, one.subject) not in still)
        found = (*first, *look.findings, *self._refusals(), *done)
        return Report(found, look.checked, judge.server_line(info), len(done))

    def _refusals(self) -> list[Finding]:
        asking, reply = configuring.answers(self._scope), None
        try:
            while isinstance(step := asking.send(reply), Call):
                reply = self._store.call(step)
        except StopIteration as done:
            return judge.settings_findings(done.value)
        except (Corrupt, ProtocolError):
            pass  # the census has found what cannot be read
        return []

    def _unfit(self) -> Finding | None:
        meta = self._scope.meta
        kind = shown(self._store.command("TYPE", meta))
        schema = self._store.command("HGET", meta, "schema") if kind == "hash" else None
        return judge.namespace_finding(self._scope.namespace, kind, schema)

    def _crowd(self, fix: bool) -> Finding | None:
        """Fields of `meta` that are not ours, if they are so many that nothing works; with `fix` they are taken out."""
        meta = self._scope.meta
        found = judge.crowd_finding(self._scope.namespace, number(self._store.command("HLEN", meta)))
        if found is None or not fix:
            return found
        strays = (one for one in self._census.members(meta.encode(), "hash") if shown(one) not in judge.META_FIELDS)
        while page := list(islice(strays, KEYS_PER_CALL)):
            self._store.command("HDEL", meta, *page)
        return replace(found, fixed=True)

    # --- looking

    def _look(self) -> _Look:
        look, subjects, suspects = _Look(), Subjects(), []
        for page in self._census.keys(self._prefix):
            look.checked += len(page)
            faults = list(self._key_faults(page))
            suspects += [fault.key for fault in faults]
            unreadable = {fault.key for fault in faults if fault.cure == "unlink"}
            for one in set(page) - unreadable:
                self._collect(one, subjects)
        # A key may have just been born or gone when it was looked at.
        look.keys = list(self._key_faults(dict.fromkeys(suspects)))
        look.findings += [Finding("key", shown(one.key), one.detail) for one in look.keys]
        look.checked += len(subjects)
        self._audit(subjects, look)
        return look

    def _key_faults(self, keys: Iterable[bytes]) -> Iterator[KeyFault]:
        namespace, rest = self._scope.namespace, iter(keys)
        while page := list(islice(rest, KEYS_PER_CALL)):
            pairs = [(judge.place_of(namespace, one), judge.session_of(namespace, one)) for one in page]
            raw = self._store.call(calls.audit_keys(self._scope, self._grace_ms, pairs))
            expect(raw, "ok")
            yield from filter(None, (judge.key_fault(namespace, *one) for one in zip(page, raw[1:], strict=True)))

    def _collect(self, one: bytes, subjects: Subjects) -> None:
        found = judge.find(self._scope.namespace, one)
        if found is None:
            return
        kin, member = found
        place = judge.place_of(self._scope.namespace, one)
        subjects.see_key(kin, member)
        if kin.name == "DEDUP":
            owner = judge.dedup_owner(self._census.text(one))
            if owner:
                subjects.see(owner, place)
        elif kin.name in judge.LISTS_REQUESTS or kin.name in judge.LISTS_RESOURCES:
            for entry in self._census.members(one, kin.type):
                subjects.see_member(kin, place, entry)

    def _audit(self, subjects: Subjects, look: _Look) -> None:
        audited = 0
        for audited, (ident, places) in enumerate(subjects.requests.items(), 1):
            faults = self._faults(calls.audit_request(self._scope, ident, False, self._grace_ms, places))
            if faults:
                look.requests.append((ident, places))
                look.findings += [Finding("request", shown(ident), fault) for fault in faults]
            self._tell(audited, len(subjects))
        for done, resource in enumerate(sorted(subjects.resources), audited + 1):
            faults = self._faults(calls.audit_resource(self._scope, resource, False, self._grace_ms))
            if faults:
                look.resources.append(resource)
                look.findings += [Finding("resource", judge.resource_shown(resource), fault) for fault in faults]
            self._tell(done, len(subjects))

    def _faults(self, call: Call) -> list[str]:
        try:
            raw = self._store.call(call)
        except (Corrupt, ProtocolError) as error:
            # A key of the wrong type, or a field that is no number: what cannot be read cannot be judged.
            return [f"cannot be judged: {error}"]
        expect(raw, "ok")
        return [shown(fault) for fault in raw[1]]

    def _tell(self, done: int, whole: int) -> None:
        if self._progress and (done % TELL_EVERY == 0 or done == whole):
            self._progress(done, whole)

    # --- mending

    def _mend(self, look: _Look) -> None:
        for one in look.keys:
            self._cure(one)
        self._sweep()
        for resource in look.resources:
            self._faults(calls.audit_resource(self._scope, resource, True, self._grace_ms))
        for ident, places in look.requests:
            self._faults(calls.audit_request(self._scope, ident, True, self._grace_ms, places))

    def _cure(self, fault: KeyFault) -> None:
        if fault.cure == "unlink":
            self._store.command("UNLINK", fault.key)
        elif fault.cure == "persist":
            self._store.command("PERSIST", fault.key)
        elif fault.cure == "expire":
            self._store.command("PEXPIRE", fault.key, self._keep_ms)
        elif fault.cure == "reap":
            # Entered as one that has lapsed, the session is taken back by the sweep in the normal way.
            self._store.command("ZADD", key(self._scope.namespace, "SESSIONS"), "NX", 1, fault.session)

    def _sweep(self) -> None:
        for _ in range(MAX_SWEEPS):
            raw = self._store.call(calls.sweep(self._scope))
            expect(raw, "ok")
            if number(raw[1]) == 0:
                return
