"""Whether the packages are there that traces need, which are optional."""

from __future__ import annotations

from importlib.util import find_spec

from lossd.settings import Settings


def missing_packages(settings: Settings) -> str | None:
    """Say which packages are missing that the settings ask for, None if all are there."""
    if settings.traces == "off":
        return None
    try:
        found = find_spec("opentelemetry.sdk") and find_spec("opentelemetry.exporter.otlp.proto.http")
    except ModuleNotFoundError:
        found = None
    if found is not None:
        return None
    lacking = f"expected OpenTelemetry for LOSSD_TRACES={settings.traces}, got none"
    return f"{lacking}; pip install '.[otel]' in a clone of lossd"
