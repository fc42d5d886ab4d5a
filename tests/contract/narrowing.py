"""Whether one JSON Schema allows all that another allows, and where it does not.

It errs on the side of a finding: two schemas that it cannot compare are reported unless they are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Schema = dict[str, Any]


@dataclass(frozen=True)
class Narrowing:
    """Something at a place that the first schema allows and the second does not."""

    at: str
    allowed: str
    only: str


@dataclass(frozen=True)
class Comparison:
    """Schemas of two documents; references are followed each in its own."""

    first: Schema
    second: Schema
    # Pairs under comparison further out: a schema that refers to itself is as wide as the rest of it is.
    _open: list[tuple[str, str]] = field(default_factory=list)

    def narrowings(self, one: Schema, other: Schema, at: str) -> Iterator[Narrowing]:
        """Find every place where ``one``, of the first document, allows what ``other`` does not."""
        pair = (str(one.get("$ref", id(one))), str(other.get("$ref", id(other))))
        if pair in self._open:
            return
        self._open.append(pair)
        yield from self._between(alternatives(one, self.first), alternatives(other, self.second), at)
        self._open.pop()

    def _between(self, ones: list[Schema], others: list[Schema], at: str) -> Iterator[Narrowing]:
        if len(ones) == len(others) == 1:
            yield from self._within(ones[0], others[0], at)
            return
        for one in ones:
            if not any(not list(self._within(one, other, at)) for other in others):
                yield Narrowing(at, brief(one), " or ".join(map(brief, others)))

    def _within(self, one: Schema, other: Schema, at: str) -> Iterator[Narrowing]:
        for keyword in sorted(({*one, *other} - ANNOTATIONS) - STRUCTURE):
            has, wants = one.get(keyword), other.get(keyword)
            if has != wants and not RULES.get(keyword, never)(has, wants):
                yield Narrowing(at, f"{keyword} {has}", f"{keyword} {wants}")
        yield from self._members(one, other, at)
        if "items" in other:
            yield from self.narrowings(one.get("items", {}), other["items"], f"{at}[]")

    def _members(self, one: Schema, other: Schema, at: str) -> Iterator[Narrowing]:
        for name in sorted(set(other.get("required", ())) - set(one.get("required", ()))):
            yield Narrowing(f"{at}.{name}", "optional", "required")
        named, known = one.get("properties", {}), other.get("properties", {})
        rest, remainder = _additional(one), _additional(other)
        for name in [*named, *(name for name in known if name not in named)]:
            has, wants = named.get(name, rest), known.get(name, remainder)
            if has is None:
                continue
            if wants is None:
                yield Narrowing(f"{at}.{name}", "a member", "no such member")
                continue
            yield from self.narrowings(has, wants, f"{at}.{name}")
        if "object" in (one.get("type"), other.get("type")) and rest is not None:
            if remainder is None:
                yield Narrowing(at, "further members", "those that are named")
            else:
                yield from self.narrowings(rest, remainder, f"{at}.*")


def alternatives(schema: Schema, document: Schema) -> list[Schema]:
    """Follow references, and split a schema into those of which a value has to fit one."""
    schema = resolve(schema, document)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            rest = {name: value for name, value in schema.items() if name != keyword}
            return [{**rest, **each} for part in schema[keyword] for each in alternatives(part, document)]
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": each} for each in schema["type"]]
    return [schema]


def resolve(value: Schema, document: Schema) -> Schema:
    """Follow a reference inside a document; what stands beside it is kept."""
    if "$ref" not in value:
        return value
    target: Any = document
    for part in value["$ref"].removeprefix("#/").split("/"):
        target = target[part.replace("~1", "/").replace("~0", "~")]
    beside = {name: each for name, each in value.items() if name != "$ref"}
    return {**resolve(target, document), **beside}


def brief(schema: Schema) -> str:
    """Name an alternative in a few words."""
    telling = {name: schema[name] for name in ("type", "enum", "const", "title") if name in schema}
    return ", ".join(f"{name} {value}" for name, value in telling.items()) or "anything"


def _additional(schema: Schema) -> Schema | None:
    """Return the schema of members that are not named, or None where there may be none."""
    rest = schema.get("additionalProperties", True)
    if rest is False:
        return None
    return {} if rest is True else rest


def never(has: Any, wants: Any) -> bool:
    """Take no two values of a keyword without a rule as compatible."""
    return False


def at_least(has: Any, wants: Any) -> bool:
    """Compare lower bounds: what has a bound is within a lower one, and within none."""
    return wants is None or (has is not None and has >= wants)


def at_most(has: Any, wants: Any) -> bool:
    """Compare upper bounds."""
    return wants is None or (has is not None and has <= wants)


def if_wanted(has: Any, wants: Any) -> bool:
    """Let go of a constraint; a new one, or another, is a narrowing."""
    return wants is None


def same_type(has: Any, wants: Any) -> bool:
    """Compare types: every integer is a number."""
    return wants is None or (has, wants) == ("integer", "number")


def among(has: Any, wants: Any) -> bool:
    """Compare lists of values."""
    return wants is None or (has is not None and all(each in wants for each in has))


# Whether values under ``has`` are values under ``wants``, for two that differ.
RULES: dict[str, Callable[[Any, Any], bool]] = {
    "type": same_type,
    "enum": among,
    "const": if_wanted,
    "format": if_wanted,
    "pattern": if_wanted,
    "multipleOf": if_wanted,
    "uniqueItems": if_wanted,
    "contentEncoding": if_wanted,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), at_least),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), at_most),
}
STRUCTURE = {"properties", "required", "additionalProperties", "items"}
ANNOTATIONS = {"title", "description", "default", "example", "examples", "deprecated"}
