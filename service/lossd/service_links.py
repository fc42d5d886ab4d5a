"""Variables that Kubernetes and Docker set in a container for each service that runs beside it.

A Service named ``lossd`` sets ``LOSSD_PORT=tcp://10.0.0.1:8000`` and more in every pod of its namespace, one named
``lossd-api`` the same under ``LOSSD_API_``. They look like settings and are none. A variable counts as a service link
by its name and its value together, so that a misspelt setting is still refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_URL = re.compile(r"(tcp|udp|sctp)://\S+:\d+")
_ADDRESS = re.compile(r"\d+(\.\d+){3}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_NUMBER = re.compile(r"\d+")
_PROTOCOL = re.compile(r"tcp|udp|sctp")
_PORT = r"_PORT_\d+_(TCP|UDP|SCTP)"
# How the name goes on after that of the service, and what the value looks like.
_FORMS = (
    (re.compile(r"\w*_SERVICE_HOST"), _ADDRESS),
    (re.compile(r"\w*_SERVICE_PORT(_\w+)?"), _NUMBER),
    (re.compile(r"\w*_PORT"), _URL),
    (re.compile(rf"\w*{_PORT}"), _URL),
    (re.compile(rf"\w*{_PORT}_PROTO"), _PROTOCOL),
    (re.compile(rf"\w*{_PORT}_PORT"), _NUMBER),
    (re.compile(rf"\w*{_PORT}_ADDR"), _ADDRESS),
)


def is_service_link(name: str, value: str) -> bool:
    """Return whether a variable has the form that Kubernetes gives to those of a service."""
    return any(form.fullmatch(name.upper()) and shape.fullmatch(value) for form, shape in _FORMS)


def service_links(environ: Mapping[str, str], prefix: str) -> list[str]:
    """Return the names of the service links that begin with ``prefix``, in order."""
    return sorted(
        name
        for name, value in environ.items()
        if name.upper().startswith(prefix) and is_service_link(name, value)
    )
