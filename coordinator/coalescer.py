"""What the sync client does with calls whose execution and result are shared. A part of `Coordinator`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from coordinator.drivers.sync import SyncDriver
from coordinator.model import codec
from coordinator.model.answers import Answer, CoalescingStats, answer_key
from coordinator.ops import answers, asking, work
from coordinator.ops.answers import Kept
from coordinator.ops.submission import to_ask


class Coalescer:
    """Calls that share execution and result with identical ones, and the answers that are kept of them."""

    _driver: SyncDriver

    def coalesce(
        self, name: str, payload: Any = None, *, ttl: float = 60.0, timeout: float | None = None, **options: Any
    ) -> Any:
        """What the handler `name` returns for that payload, executed once for all identical calls that wait for it.

        Calls are identical if name and payload are equal, whichever process makes them. One of them hands in a job,
        with `options` as for `submit` (but `dedup` and `delay`), the others join it. For `ttl` seconds after it has
        succeeded its result is the answer to all further ones (0: to none). If it fails, all who wait get the same
        error and nothing is kept.
        Waits at most `timeout` seconds (None: without end); after a WaitTimeout the job goes on. Raises as `submit`
        and `JobTicket.result`.
        """
        driver = self._driver
        job, seconds = answers.submission(name, payload, options), asking.timeout(timeout)
        key = answer_key(job.name, payload, driver.settings.max_payload)
        copy = driver.near.look(key)
        if copy is not None:
            driver.near.count("near_hits")
            return answers.value(copy)
        mark = driver.near.mark()
        made = to_ask(driver.new_id(), job, driver.settings.max_payload, driver.signer, driver.rules)
        asked = answers.to_asked(made, key, ttl, driver.settings.max_payload)
        begun = driver.run(answers.begin(driver.scope, asked, driver.signer))
        driver.near.count(begun.how)
        if begun.kept is not None:
            driver.near.keep(key, begun.kept, begun.session, mark)
            return answers.value(begun.kept)
        return driver.run(work.result(driver.scope, begun.ident, seconds, driver.signer))

    def cached_many(self, name: str, payloads: Iterable[Any]) -> list[Answer | None]:
        """The answers that are kept for some payloads, in their order; None where there is none. Executes nothing.
        Raises BadSignature, Corrupt."""
        driver = self._driver
        keys = [answer_key(name, one, driver.settings.max_payload) for one in payloads]
        found: dict[str, Kept | str | None] = {key: driver.near.look(key) for key in keys}
        missing, mark = [key for key, one in found.items() if one is None], driver.near.mark()
        if missing:
            recalled = driver.run(answers.recall(driver.scope, missing, driver.signer))
            found.update(zip(missing, recalled.found, strict=True))
            for key in missing:
                kept = found[key]
                if isinstance(kept, Kept):
                    driver.near.keep(key, kept, recalled.session, mark)
        in_order = [found[key] for key in keys]
        return [answers.answer(one) if isinstance(one, Kept) else None for one in in_order]

    def warm(self, name: str, entries: Iterable[tuple[Any, Any]], *, ttl: float = 60.0) -> None:
        """Store answers that are known already, as (payload, value), each for `ttl` seconds, in place of those that are
        there; copies in all processes are told. Raises InvalidInput, PayloadTooLarge."""
        driver, stored = self._driver, []
        for payload, value in entries:
            ident = driver.new_id()
            packed = driver.signer.seal_result(ident, codec.pack(value, "value", driver.settings.max_result))
            stored.append((answer_key(name, payload, driver.settings.max_payload), ident, packed))
        driver.run(answers.warm(driver.scope, name, ttl, stored))
        driver.near.drop([key for key, _, _ in stored])

    def forget(self, name: str, payloads: Iterable[Any]) -> None:
        """Drop the answers of some payloads, so that the next calls execute anew; copies in all processes are told. A
        job under way goes on for those who wait for it, but gives no answer to others any more. Raises InvalidInput."""
        driver = self._driver
        keys = [answer_key(name, one, driver.settings.max_payload) for one in payloads]
        driver.run(answers.forget(driver.scope, keys))
        driver.near.drop(keys)

    def coalescing(self) -> CoalescingStats:
        """How the calls of this client were answered so far, and what it keeps in memory."""
        return self._driver.near.stats()
