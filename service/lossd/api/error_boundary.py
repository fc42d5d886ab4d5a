"""Turns whatever the layers behind it raise into one answer.

It stands within the layer of `cross_origin`, so that a page of another origin may read why its call failed.
"""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from lossd.api.exchange import SCOPE_KEY, CallerGone, Exchange
from lossd.api.problems import Problem, ProblemFormat, form_of, problem_of, send_problem
from lossd.api.telemetry.layout import CALLER_GONE, INTERNAL_ERROR, OTHER
from lossd.errors import Overloaded


class ErrorBoundary:
    """Answer errors with problems, and note them in the exchange."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and answer it if that fails."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange: Exchange = scope[SCOPE_KEY]
        try:
            await self.app(scope, receive, send)
        except CallerGone:
            exchange.status = 499  # nginx's status for it; only the log and the metrics have it
            exchange.problem_kind = CALLER_GONE
        except asyncio.CancelledError:  # by the server, which has waited as long as it may
            problem = problem_of(Overloaded("the server stopped before the call was done; send it again"))
            await _refuse(exchange, problem, form_of(scope["path"]), send)
        except Exception as error:
            problem = problem_of(error)
            exchange.bug = error if problem.status == 500 else None
            await _refuse(exchange, problem, form_of(scope["path"]), send)


async def _refuse(exchange: Exchange, problem: Problem, form: ProblemFormat, send: Send) -> None:
    """Answer with the problem, unless an answer is under way: then the server must cut the connection."""
    if exchange.status:
        raise ConnectionError("failed after the response had started")
    exchange.problem = problem.detail
    exchange.problem_kind = problem.kind or (INTERNAL_ERROR if problem.status == 500 else OTHER)
    await send_problem(send, problem, form, close=exchange.body_pending)
