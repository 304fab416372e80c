"""What goes wrong with a compatible lock: each error is one of redis-py's and one of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import exceptions as redis_errors

from coordinator.errors import CoordinatorError, LeaseLost, StoreUnavailable, UnknownOutcome


class NotOwned(LeaseLost, redis_errors.LockNotOwnedError):
    """The lock was ours and is no longer: stop the guarded work. `said`: in the words of redis-py, if it is it that
    found out."""

    def __init__(self, ident: str, why: str, lock_name: Any = None, said: str | None = None) -> None:
        super().__init__(ident, why)
        self.lock_name = lock_name
        if said is not None:
            self.args, self.message = (said,), said


class LineUnavailable(StoreUnavailable, redis_errors.ConnectionError):
    """The line cannot be reached now. Nothing was changed, or what may have been is taken back as soon as it can be."""


class LineRefused(CoordinatorError, redis_errors.LockError):
    """The line did not take the request, or gave it up; the cause says why."""

    def __init__(self, problem: str, lock_name: Any = None) -> None:
        super().__init__(problem)
        self.lock_name = lock_name


@contextmanager
def as_redis(name: Any) -> Iterator[None]:
    """Our errors leave as errors of redis-py too."""
    try:
        yield
    except (NotOwned, LineUnavailable, LineRefused):
        raise
    except redis_errors.LockNotOwnedError as error:
        raise NotOwned(str(name), str(error), name, str(error)) from error
    except LeaseLost as error:
        raise NotOwned(error.ident, error.why, name) from error
    except (StoreUnavailable, UnknownOutcome) as error:
        raise LineUnavailable(str(error)) from error
    except CoordinatorError as error:
        raise LineRefused(str(error), name) from error
