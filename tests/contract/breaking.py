"""What a new contract may not do to a client that was built on an old one.

A request may be understood in more ways than before and in none fewer. An answer may say less than it might
have and nothing that it could not have said: a client that reads what the old contract named goes on reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.contract.narrowing import Comparison, Schema, resolve

Named = dict[str, Any]


def breaks(old: Schema, new: Schema) -> list[str]:
    """List what breaks a client of the old document, each with its place."""
    return [
        f"{method.upper()} {path}: {what}"
        for path, methods in old["paths"].items()
        for method, operation in methods.items()
        for what in _operation(operation, new["paths"].get(path, {}).get(method), old, new)
    ]


def _operation(was: Named, now: Named | None, old: Schema, new: Schema) -> Iterator[str]:
    if now is None:
        if not was.get("deprecated"):
            yield "the operation is gone, and was not deprecated before"
        return
    for name in ("operationId", "tags"):  # generated clients are named after both
        if was.get(name) != now.get(name):
            yield f"{name}: {was.get(name)} became {now.get(name)}"
    yield from _parameters(was, now, old, new)
    yield from _request(was, now, old, new)
    yield from _responses(was, now, old, new)


def _parameters(was: Named, now: Named, old: Schema, new: Schema) -> Iterator[str]:
    before, after = _by_place(was, old), _by_place(now, new)
    for place, parameter in before.items():
        if place not in after:
            if not parameter.get("deprecated"):
                yield f"{place}: gone, and was not deprecated before"
            continue
        yield from _requests(parameter["schema"], after[place]["schema"], old, new, place)
    for place, parameter in after.items():
        if parameter.get("required") and not before.get(place, {}).get("required"):
            yield f"{place}: required, and was not before"


def _by_place(operation: Named, document: Schema) -> dict[str, Named]:
    parameters = [resolve(each, document) for each in operation.get("parameters", [])]
    return {f"{parameter['in']} parameter {parameter['name']}": parameter for parameter in parameters}


def _request(was: Named, now: Named, old: Schema, new: Schema) -> Iterator[str]:
    before, after = resolve(was.get("requestBody", {}), old), resolve(now.get("requestBody", {}), new)
    if after.get("required") and not before.get("required"):
        yield "request: required, and was not before"
    for media_type, body in before.get("content", {}).items():
        if media_type not in after.get("content", {}):
            yield f"request: {media_type} is no longer read"
            continue
        there = after["content"][media_type]
        yield from _requests(
            body.get("schema", {}), there.get("schema", {}), old, new, f"request {media_type}"
        )


def _responses(was: Named, now: Named, old: Schema, new: Schema) -> Iterator[str]:
    """Compare answers; a refusal may get another status, but what is common to both has its old form."""
    before, after = was.get("responses", {}), now.get("responses", {})
    for status in sorted({*before, *after}):
        if status in before and status in after:
            yield from _response(resolve(before[status], old), resolve(after[status], new), old, new, status)
        elif status.startswith("2"):
            yield f"answer {status}: {'gone' if status in before else 'new'}"


def _response(was: Named, now: Named, old: Schema, new: Schema, status: str) -> Iterator[str]:
    for name in was.get("headers", {}):
        if name not in now.get("headers", {}):
            yield f"answer {status}: header {name} is gone"
    for media_type, body in was.get("content", {}).items():
        if media_type not in now.get("content", {}):
            yield f"answer {status}: {media_type} is no longer written"
            continue
        there = now["content"][media_type]
        found = Comparison(new, old).narrowings(there.get("schema", {}), body.get("schema", {}), "")
        for each in found:
            place = f"answer {status} {media_type}{each.at and ' at '}{each.at.removeprefix('.')}"
            yield f"{place}: was {each.only}, may be {each.allowed}"


def _requests(was: Schema, now: Schema, old: Schema, new: Schema, where: str) -> Iterator[str]:
    for each in Comparison(old, new).narrowings(was, now, ""):
        place = f"{where}{each.at and ' at '}{each.at.removeprefix('.')}"
        yield f"{place}: allowed {each.allowed}, allows only {each.only}"
    yield from _defaults(resolve(was, old), resolve(now, new), where)


def _defaults(was: Schema, now: Schema, where: str) -> Iterator[str]:
    """Compare what a request means that leaves an option out."""
    for name, option in was.get("properties", {}).items():
        there = now.get("properties", {}).get(name, option)
        if option.get("default") != there.get("default"):
            yield f"{where} at {name}: default {option.get('default')} became {there.get('default')}"
