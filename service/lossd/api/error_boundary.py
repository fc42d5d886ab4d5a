"""The outermost layer: whatever happens, the caller gets one answer and the log one line."""

from __future__ import annotations

import asyncio
import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lossd.api.exchange import SCOPE_KEY, CallerGone, Exchange
from lossd.api.health import Health
from lossd.api.log import Log
from lossd.api.problems import Problem, ProblemFormat, form_of, problem_of, send_problem

LINGER_SECONDS = 5.0


class ErrorBoundary:
    """Open the exchange, turn errors into problems, count bytes, write the log line."""

    def __init__(self, app: ASGIApp, *, log: Log, health: Health) -> None:
        self.app = app
        self.log = log
        self.health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and see to its end."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = scope[SCOPE_KEY] = Exchange(scope["headers"])
        bug: Exception | None = None

        async def counted_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message.get("headers", ()), *exchange.response_headers()]
                if self.health.draining:
                    message["headers"].append((b"connection", b"close"))
            else:
                exchange.bytes_out += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, counted_send)
        except CallerGone:
            exchange.status = 499  # nginx's status for it; it appears in the log alone
        except Exception as error:
            problem = problem_of(error)
            bug = error if problem.status == 500 else None
            await _refuse(exchange, problem, form_of(scope["path"]), counted_send)
        finally:
            self._write(scope, exchange, bug)
        if exchange.problem and exchange.body_pending:
            await _linger(receive, send)

    def _write(self, scope: Scope, exchange: Exchange, bug: Exception | None) -> None:
        fields = exchange.record(scope)  # type: ignore[arg-type]  # a scope is a dict in every server
        if bug is None:
            self.log.log(logging.INFO, "request", **fields)
            return
        self.log.log(logging.ERROR, "request", exc_info=bug, **fields)


async def _refuse(exchange: Exchange, problem: Problem, form: ProblemFormat, send: Send) -> None:
    """Answer with the problem, unless an answer is under way: then the server must cut the connection."""
    if exchange.status:
        raise ConnectionError("failed after the response had started")
    exchange.problem = problem.detail
    await send_problem(send, problem, form, more_body=exchange.body_pending)


async def _linger(receive: Receive, send: Send) -> None:
    """Discard the rest of a refused body for a while before the connection closes.

    Closing at once would reset the connection, and a caller that is still sending would see the reset in
    place of the answer (RFC 9112, 9.6).
    """
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while (await receive()).get("more_body", False):
                pass
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b""})
