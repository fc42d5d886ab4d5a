"""TLS from the settings: what uvicorn is given, and whether its files can be read."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from lossd.settings import Settings, variable

FILES = ("tls_certificate_file", "tls_key_file", "tls_client_ca_file")


def uvicorn_options(settings: Settings) -> Mapping[str, Any]:
    """Return uvicorn's options for TLS; none for plain HTTP."""
    if settings.tls_certificate_file is None:
        return {}
    required = ssl.CERT_NONE if settings.tls_client_ca_file is None else ssl.CERT_REQUIRED
    return {
        "ssl_certfile": settings.tls_certificate_file,
        "ssl_keyfile": settings.tls_key_file,
        "ssl_ca_certs": settings.tls_client_ca_file,
        "ssl_cert_reqs": required,
    }


def refusal(settings: Settings) -> str | None:
    """Return one line that says why a server could not speak TLS as the settings say, or None if it could."""
    certificate, key, authorities = (getattr(settings, name) for name in FILES)
    if certificate is None:
        return None
    for name, path in zip(FILES, (certificate, key, authorities), strict=True):
        try:
            if path is not None:
                with open(path, "rb"):
                    pass
        except OSError as error:
            return f"{variable(name)}: {path} cannot be read: {error.strerror}"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    at = variable(FILES[0])
    try:
        context.load_cert_chain(certificate, key, password="")  # uvicorn would wait for somebody to type one
        at = variable(FILES[2])
        if authorities is not None:
            context.load_verify_locations(authorities)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error)
        return (
            f"{at}: expected certificates and an unencrypted key that belongs to them, in PEM; got {reason}"
        )
    return None
