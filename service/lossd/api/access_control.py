"""Who may call what, and how often, in front of every route: keys or tokens, scopes, rates.

It stands behind the error boundary, which answers and logs what is refused here, and behind the answers to preflights,
but in front of everything that costs more than a look at the head.
"""

from __future__ import annotations

from collections.abc import Awaitable, Hashable
from functools import lru_cache
from ipaddress import ip_address, ip_network
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from lossd.access.caller import Authenticate, Caller
from lossd.access.keys import Keys
from lossd.access.rate import Accounts, rate
from lossd.access.tokens import Issuer, Tokens
from lossd.api.connections.head import REFUSED
from lossd.api.exchange import SCOPE_KEY, Exchange
from lossd.errors import Forbidden, LossdError, Unauthorized
from lossd.settings import Settings, variable

OPEN = frozenset({"/", "/try", "/compare", "/docs", "/openapi.json"})
OPEN_BELOW = ("/losses/", "/static/", "/docs/", "/problems/")
"""What needs no key besides health, since it is the same for every server of this version."""

COUNTED = frozenset({"evaluate", "catalogue"})
"""Scopes of what counts against rates: a page loads a dozen files before its first call, and a scrape is no call."""

_LONGEST_ADDRESS = 64  # characters of what a proxy says of a caller, of which no address has as many
_READ_ANYWAY = 64 * 1024  # bytes of a refused body; after a larger one the connection closes


def access_control(app: ASGIApp, settings: Settings, authenticate: Authenticate | None) -> ASGIApp:
    """Put the checks that the settings ask for, if any, in front of an application."""
    limited = settings.calls_per_second is not None or settings.work_per_second is not None
    return AccessControl(app, settings, authenticate) if authenticate or limited else app


def asks_for_keys(settings: Settings) -> bool:
    """Return whether calls need a key."""
    return settings.auth in ("keys", "jwt")


def authenticator(settings: Settings) -> Authenticate | None:
    """Return what identifies the caller; None if everyone may call.

    Raises:
        ValueError: A file that it needs cannot be read.
    """
    if not asks_for_keys(settings):
        return None
    field = "keys_file" if settings.auth == "keys" else "jwks_file"
    path = Path(str(getattr(settings, field)))
    try:
        if settings.auth == "keys":
            return Keys(path)
        issuer = Issuer(str(settings.jwt_issuer), str(settings.jwt_audience), settings.jwt_scope_claim)
        return Tokens(path, issuer)
    except OSError as error:
        raise ValueError(f"{variable(field)}: {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{variable(field)}: {path}: {error}") from None


def required_scope(method: str, path: str) -> str | None:
    """Return the scope that a request needs, None if it needs no key."""
    if method == "POST" and not path.startswith("/v2/repository/"):
        return "evaluate"
    if path in OPEN or path.startswith(OPEN_BELOW) or is_health(path):
        return None
    return "metrics" if path == "/metrics" else "catalogue"


def is_health(path: str) -> bool:
    """Return whether orchestrators and balancers ask for a path."""
    return path in ("/livez", "/readyz", "/v2/health/live") or (
        path.startswith("/v2/") and path.endswith("/ready")
    )


class AccessControl:
    """Let a request through if its caller is known, has the scope for it, and is within its rates."""

    def __init__(self, app: ASGIApp, settings: Settings, authenticate: Authenticate | None) -> None:
        self.app = app
        self.authenticate = authenticate
        self.calls_rate = rate("calls", settings.calls_per_second, settings.calls_burst)
        self.work_rate = rate("work", settings.work_per_second, settings.work_burst)
        self.accounts = Accounts(settings.max_callers)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass the request on, or raise what the error boundary tells the caller."""
        if scope["type"] == "http" and REFUSED not in scope:
            exchange: Exchange = scope[SCOPE_KEY]
            try:
                self._admit(scope, exchange)
            except LossdError:
                exchange.body_pending = _is_long(exchange)
                raise
        return self.app(scope, receive, send)

    def _admit(self, scope: Scope, exchange: Exchange) -> None:
        needed = required_scope(scope["method"], scope["path"])
        if needed is None:
            return
        if self.authenticate is None:
            if needed in COUNTED:
                self._limit(_address(scope), None, exchange)
            return
        try:
            caller = self.authenticate(exchange.headers.get(b"authorization"), exchange.started)
        except Unauthorized:
            self._limit(_address(scope), None, exchange)  # so that guessing has a limit, too
            raise
        exchange.caller = caller.name
        if needed not in caller.scopes:
            raise Forbidden(
                f"expected a key with the scope {needed}, got one with {', '.join(sorted(caller.scopes)) or 'none'}",
                scope=needed,
            )
        if needed in COUNTED:
            self._limit(caller.name, caller, exchange)

    def _limit(self, name: Hashable, caller: Caller | None, exchange: Exchange) -> None:
        """Count a call, and let the dispatcher count its work."""
        calls, work = self.calls_rate, self.work_rate
        if caller is not None:
            calls, work = caller.calls or calls, caller.work or work
        if calls is None and work is None:
            return
        account = self.accounts[name]
        if calls is not None:
            account.take_call(calls, exchange.started)
        exchange.account, exchange.calls_rate, exchange.work_rate = account, calls, work


def _address(scope: Scope) -> bytes:
    """Return the caller's network; bytes, as nobody's name is."""
    client = scope.get("client")
    return _network(client[0][:_LONGEST_ADDRESS]) if client else b""


@lru_cache(maxsize=4096)
def _network(host: str) -> bytes:
    """Return an IPv4 address as it is, and 64 bits of an IPv6 one: one host may have all that begin with them."""
    try:
        address = ip_address(host)
    except ValueError:
        return host.encode()
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped or address.version == 4:
        return str(mapped or address).encode()
    return str(ip_network((address, 64), strict=False)).encode()


def _is_long(exchange: Exchange) -> bool:
    """Return whether a body follows that is not worth reading for the sake of the connection."""
    headers = exchange.headers
    if b"transfer-encoding" in headers or b"expect" in headers:
        return True
    return int(headers.get(b"content-length", b"0")) > _READ_ANYWAY
