"""Serves the pages and their files: each is rendered once, and kept.

A page changes with the server alone, so a browser may keep it if it asks whether it has changed; a file's address
changes with its content, so it may be kept for good.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from threading import Lock
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as RouterError

from lossd.api.exchange import SCOPE_KEY, Exchange
from lossd.api.problems import problem_of
from lossd.api.resource import Resource, resource, sent
from lossd.errors import UnknownLoss
from lossd.losses import LOSSES, find
from lossd.page import assets, pages

READ = ["GET", "HEAD"]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {"content-security-policy": POLICY, "referrer-policy": "no-referrer"}
_HTML = "text/html; charset=utf-8"
_FOR_GOOD = "public, max-age=31536000, immutable"
_WHILE_UNCHANGED = "no-cache"
_LONGEST_NAME = 80
_DEEPEST = 8  # folders of a path that a page still finds its way out of
_PROTOCOLS = ("/v1/", "/v2/", "/static/")  # paths that nobody types who wants a page


PAGES: Mapping[str, Callable[..., str]] = {
    "/": pages.home,
    "/try": pages.try_page,
    "/compare": pages.compare_page,
    **{f"/losses/{name}": partial(pages.loss_page, loss) for name, loss in LOSSES.items()},
}
"""Path of every page to what renders it."""

# Threads that render at the same time take the interpreter from small calls, each for 5 ms at a time.
_TURN = Lock()


@cache
def _page(path: str, guarded: bool) -> Resource:
    with _TURN:
        return _rendered(path, guarded)


@cache  # those who waited for their turn find the page of the first
def _rendered(path: str, guarded: bool) -> Resource:
    return resource(PAGES[path](guarded=guarded).encode(), _HTML, _WHILE_UNCHANGED)


def _missing_page(name: str, reason: str, *, guarded: bool, root: str) -> str:
    with _TURN:
        return pages.missing_page(name, reason, guarded=guarded, root=root)


@cache
def _file(name: str) -> Resource:
    asset = assets.assets()[name]
    return resource(asset.content, asset.media_type, _FOR_GOOD, compressible=asset.compressible)


def add_pages(router: APIRouter, *, guarded: bool) -> None:
    """Add every page, and the files that they refer to; of a guarded server, whose calls need a key, they say so."""

    async def page(request: Request) -> Response:
        path = "/" + request.url.path.rpartition("/")[2]
        return sent(request, await run_in_threadpool(_page, path, guarded), _HEADERS)

    async def loss(request: Request, name: str) -> Response:
        try:
            found = find(name)
        except UnknownLoss as error:
            if not _reads_pages(request):
                raise
            return await _missing(request, name, error, guarded=guarded)
        if found.name != name:
            return RedirectResponse(found.name)  # an alias; the address is relative
        return sent(request, await run_in_threadpool(_page, f"/losses/{name}", guarded), _HEADERS)

    async def catalogue(request: Request) -> Response:
        return RedirectResponse("../#catalogue" if request.url.path.endswith("/") else "./#catalogue")

    async def without_slash(request: Request) -> Response:
        return RedirectResponse(f"../{quote(request.url.path.split('/')[-2], safe='')}")

    async def static(request: Request, version: str, name: str) -> Response:
        if name not in assets.assets() or version != assets.version():
            raise HTTPException(404, "expected a file of this version of the pages; load the page again")
        return sent(request, _file(name), _HEADERS)

    routes: dict[str, Callable[..., Awaitable[Response]]] = {
        **dict.fromkeys(("/", "/try", "/compare"), page),
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
    html = await run_in_threadpool(_missing_page, name[:_LONGEST_NAME], reason, guarded=guarded, root=root)
    headers = {**_HEADERS, "cache-control": _WHILE_UNCHANGED}
    return Response(html, problem.status, headers=headers, media_type=_HTML)
