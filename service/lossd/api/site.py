"""Serves the pages and their files: rendered once, compressed once, and kept.

A page changes with the server alone, so it may be kept if it is asked about; a file's address changes with its content,
so it may be kept for good.
"""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable
from functools import cache
from typing import NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as RouterError

from lossd.api.exchange import SCOPE_KEY, Exchange
from lossd.api.problems import problem_of
from lossd.errors import UnknownLoss
from lossd.losses import LOSSES, find
from lossd.page import assets, pages

READ = ["GET", "HEAD"]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HTML = "text/html; charset=utf-8"
_FOR_GOOD = "public, max-age=31536000, immutable"
_WHILE_UNCHANGED = "no-cache"
_LEAST_COMPRESSED = 1024
_LONGEST_NAME = 80
_DEEPEST = 8  # folders of a path that a page still finds its way out of
_PROTOCOLS = ("/v1/", "/v2/", "/static/")  # paths that nobody types who wants a page


class _Body(NamedTuple):
    plain: bytes
    packed: bytes | None


def _body(content: bytes, *, compressible: bool = True) -> _Body:
    packed = compressible and len(content) >= _LEAST_COMPRESSED
    return _Body(content, gzip.compress(content, 9, mtime=0) if packed else None)


_PAGES: dict[str, Callable[..., str]] = {"": pages.home, "try": pages.try_page, "compare": pages.compare_page}


@cache
def _page(name: str, guarded: bool) -> _Body:
    return _body(_PAGES[name](guarded=guarded).encode())


@cache
def _loss_page(name: str, guarded: bool) -> _Body:
    return _body(pages.loss_page(LOSSES[name], guarded=guarded).encode())


@cache
def _asset(name: str) -> _Body:
    asset = assets.assets()[name]
    return _body(asset.content, compressible=asset.compressible)


def add_pages(router: APIRouter, *, guarded: bool) -> None:
    """Add every page, and the files that they refer to; of a guarded server, whose calls need a key, they say so."""

    async def home(request: Request) -> Response:
        return _sent(request, await run_in_threadpool(_page, "", guarded), _HTML, _WHILE_UNCHANGED)

    async def named(request: Request) -> Response:
        name = request.url.path.rpartition("/")[2]
        return _sent(request, await run_in_threadpool(_page, name, guarded), _HTML, _WHILE_UNCHANGED)

    async def loss(request: Request, name: str) -> Response:
        try:
            found = find(name)
        except UnknownLoss as error:
            if not _reads_pages(request):
                raise
            return await _missing(request, name, error, guarded=guarded)
        if found.name != name:
            return RedirectResponse(found.name)  # an alias; the address is relative
        return _sent(request, await run_in_threadpool(_loss_page, name, guarded), _HTML, _WHILE_UNCHANGED)

    async def catalogue(request: Request) -> Response:
        return RedirectResponse("../#catalogue" if request.url.path.endswith("/") else "./#catalogue")

    async def without_slash(request: Request) -> Response:
        return RedirectResponse(f"../{quote(request.url.path.split('/')[-2], safe='')}")

    async def static(request: Request, version: str, name: str) -> Response:
        found = assets.assets().get(name)
        if found is None or version != assets.version():
            raise HTTPException(404, "expected a file of this version of the pages; load the page again")
        return _sent(request, _asset(name), found.media_type, _FOR_GOOD)

    routes: dict[str, Callable[..., Awaitable[Response]]] = {
        "/": home,
        "/try": named,
        "/compare": named,
        "/losses": catalogue,
        "/losses/": catalogue,
        "/losses/{name}": loss,
        **dict.fromkeys(("/try/", "/compare/", "/losses/{name}/"), without_slash),
        "/static/{version}/{name:path}": static,
    }
    for path, endpoint in routes.items():
        router.add_api_route(path, endpoint, methods=READ, include_in_schema=False)


async def page_of_nothing(request: Request, error: RouterError, *, guarded: bool) -> Response | None:
    """Return the page for a browser that asks for a path that does not exist; None for any other caller."""
    depth = request.url.path.count("/") - 1
    if not _reads_pages(request) or depth > _DEEPEST or request.url.path.startswith(_PROTOCOLS):
        return None
    name = request.url.path.rstrip("/").rpartition("/")[2]
    return await _missing(request, name, error, guarded=guarded, root="../" * depth or "./")


def _reads_pages(request: Request) -> bool:
    return request.method in READ and "text/html" in request.headers.get("accept", "")


async def _missing(
    request: Request, name: str, error: Exception, *, guarded: bool, root: str = "../"
) -> Response:
    """Tell a browser which losses are near; the log and the metrics see the error that programs are told."""
    exchange: Exchange = request.scope[SCOPE_KEY]
    problem = problem_of(error)
    exchange.problem, exchange.problem_kind = problem.detail, problem.kind
    reason = str(error) if isinstance(error, UnknownLoss) else problem.detail
    html = await run_in_threadpool(
        pages.missing_page, name[:_LONGEST_NAME], reason, guarded=guarded, root=root
    )
    return _sent(request, _Body(html.encode(), None), _HTML, _WHILE_UNCHANGED, status=problem.status)


def _sent(request: Request, body: _Body, media_type: str, caching: str, *, status: int = 200) -> Response:
    headers = {
        "cache-control": caching,
        "content-security-policy": POLICY,
        "referrer-policy": "no-referrer",
    }
    content = body.plain
    if body.packed is not None:
        headers["vary"] = "accept-encoding"
        if "gzip" in request.headers.get("accept-encoding", ""):
            content = body.packed
            headers["content-encoding"] = "gzip"
    return Response(content, status, headers=headers, media_type=media_type)
