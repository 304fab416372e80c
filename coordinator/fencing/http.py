"""Fences over HTTP: callers send `If-Fence`, and the service refuses what is older than it has seen.

    httpx.put(url, json=report, headers=header(lease))       # or any other client
    app = FenceASGI(app, RedisFences(client))                # FenceWSGI for WSGI

412: a newer fence was seen for that resource; 428: no fence was sent; 400: it cannot be read.

A service looks when a request comes in. One that is let in and then takes its time may still write after a newer one:
where that matters, have the database check as well (`coordinator.fencing.sql`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from inspect import isawaitable
from typing import Any, Protocol

from coordinator.drivers.forked import renew_in_child
from coordinator.fencing.fences import MOST, Fence, number

HEADER = "If-Fence"
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_DIGITS = len(str(MOST))
_REASONS = {400: "Bad Request", 412: "Precondition Failed", 428: "Precondition Required"}

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

# Keeps the larger one and answers it.
ADVANCE = """
local newest = tonumber(redis.call('GET', KEYS[1]) or '0')
if tonumber(ARGV[1]) > newest then
  redis.call('SET', KEYS[1], ARGV[1])
  newest = tonumber(ARGV[1])
end
return string.format('%.0f', newest)
"""


def header(fence: Fence) -> dict[str, str]:
    """The header to send with each request under a lock: `{"If-Fence": "17..."}`."""
    return {HEADER: str(number(fence))}


class Fences(Protocol):
    """Where the newest fence of each resource is remembered."""

    def advance(self, resource: str, fence: int) -> Any:
        """Remember the fence if it is the newest; returns the newest, or an awaitable of it."""


class MemoryFences:
    """For a service of one process: a process that starts anew has forgotten them. One entry for each resource."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}
        self.after_fork()
        renew_in_child(self)

    def after_fork(self) -> None:
        """In a forked child: a lock of its own. What was seen before stays known."""
        self._lock = threading.Lock()

    def advance(self, resource: str, fence: int) -> int:
        """As `Fences.advance`."""
        with self._lock:
            newest = self._newest[resource] = max(fence, self._newest.get(resource, 0))
        return newest


class RedisFences:
    """For a service of many processes; `client` is one of redis-py, sync or asyncio. Keys: `prefix` and the resource,
    without a TTL."""

    def __init__(self, client: Any, prefix: str = "fence:") -> None:
        self._client, self._prefix = client, prefix

    def advance(self, resource: str, fence: int) -> Any:
        """As `Fences.advance`."""
        return self._client.eval(ADVANCE, 1, self._prefix + resource, fence)


class _Guard:
    """What both kinds of middleware are told.

    `app` is what is guarded; `resource` says, from the scope (ASGI) or environment (WSGI), what a request writes: the
    path, unless said otherwise. `required`: writes without a fence are refused. `methods` are those that write.
    """

    def __init__(
        self,
        app: Any,
        fences: Fences,
        *,
        resource: Callable[[Any], str] | None = None,
        required: bool = True,
        methods: Collection[str] = WRITES,
    ) -> None:
        self._app, self._fences, self._required, self._methods = app, fences, required, frozenset(methods)
        self._resource = resource or self._path

    @staticmethod
    def _path(request: Any) -> str:
        raise NotImplementedError

    def _read(self, method: str, given: list[str]) -> tuple[int | None, int]:
        """The fence of a request, or None and why it is refused (0: it is none that is looked at)."""
        if method not in self._methods:
            return None, 0
        if not given:
            return None, 428 if self._required else 0
        word = given[0].strip()
        if len(given) > 1 or not (word.isascii() and word.isdigit() and len(word) <= _DIGITS and int(word) <= MOST):
            return None, 400
        return int(word), 0


def _body(status: int, **more: int) -> bytes:
    return json.dumps({"error": _REASONS[status].lower(), "header": HEADER, **more}).encode()


class FenceASGI(_Guard):
    __doc__ = f"Middleware for ASGI. {_Guard.__doc__}"

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"if-fence"]
        fence, refusal = self._read(scope["method"], given)
        more: dict[str, int] = {}
        if fence is not None:
            newest = self._fences.advance(self._resource(scope), fence)
            newest = int(await newest if isawaitable(newest) else newest)
            if newest > fence:
                refusal, more = 412, {"fence": fence, "newest": newest}
        if not refusal:
            await self._app(scope, receive, send)
            return
        await send(
            {"type": "http.response.start", "status": refusal, "headers": [(b"content-type", b"application/json")]}
        )
        await send({"type": "http.response.body", "body": _body(refusal, **more)})

    @staticmethod
    def _path(request: Any) -> str:
        return str(request["path"])


class FenceWSGI(_Guard):
    __doc__ = f"Middleware for WSGI. {_Guard.__doc__}"

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Let a request through, or refuse it."""
        given = [environ["HTTP_IF_FENCE"]] if "HTTP_IF_FENCE" in environ else []
        fence, refusal = self._read(environ["REQUEST_METHOD"], given)
        more: dict[str, int] = {}
        if fence is not None:
            newest = int(self._fences.advance(self._resource(environ), fence))
            if newest > fence:
                refusal, more = 412, {"fence": fence, "newest": newest}
        if not refusal:
            return self._app(environ, start_response)  # type: ignore[no-any-return]
        start_response(f"{refusal} {_REASONS[refusal]}", [("Content-Type", "application/json")])
        return [_body(refusal, **more)]

    @staticmethod
    def _path(request: Any) -> str:
        return f"{request.get('SCRIPT_NAME', '')}{request.get('PATH_INFO', '')}"
