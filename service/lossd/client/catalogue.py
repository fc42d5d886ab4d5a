"""The catalogue as the server tells it: every loss in brief, and all about one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

from lossd.errors import ErrorDetail, MalformedBody
from lossd.loss_page import loss_page
from lossd.wording import TYPE_NAMES, type_name

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LossSummary:
    """One loss in brief."""

    name: str
    family: str
    summary: str
    aliases: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class ArgumentEntry:
    """An array that a loss takes.

    Attributes:
        shape: As people read it, for example ``(N, C, d1, ..., dK)``.
        values: What its elements may be.
        differentiable: Whether it can have a gradient.
    """

    name: str
    shape: str = ""
    values: str = ""
    differentiable: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class LossEntry:
    """All that the catalogue knows about a loss; it prints as a page.

    Attributes:
        alias_details: Of each alias its ``framework``, and what it changes: ``defaults``, ``difference``.
        use: What it is for.
        avoid: What it is not for, and what to call instead.
        formula: The loss of one row, in LaTeX.
        where: What the formula's parts stand for, in LaTeX.
        symbols: Argument or setting to its symbol in the formula.
        denominator: What a mean divides by.
        mean: The same as data.
        edges: Ties, zero, infinity, what is ignored: of each the ``request`` that gives its ``loss`` and ``gradient``.
        has_parts: Whether rows stand alone, so that a call may be made in parts.
        boosting: Whose objective ``convention="gbm"`` follows; empty where no boosting library has the loss.
        settings: Setting to its JSON Schema.
        differentiable_settings: Settings that have a gradient too.
        sliders: Setting to the ends between which it is worth moving.
        picture: How it is drawn.
        options: General option to its JSON Schema.
        example: A ``request``, its ``value`` before any reduction, the ``mean`` of it and the ``gradient`` of the mean.
    """

    name: str
    family: str = ""
    summary: str = ""
    aliases: tuple[str, ...] = ()
    alias_details: Sequence[Mapping[str, Any]] = ()
    description: str = ""
    use: str = ""
    avoid: str = ""
    formula: str = ""
    where: Sequence[str] = ()
    symbols: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    denominator: str = ""
    mean: Mapping[str, Any] = field(default_factory=dict)
    edges: Sequence[Mapping[str, Any]] = ()
    has_parts: bool = False
    boosting: str = ""
    arguments: tuple[ArgumentEntry, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    differentiable_settings: Sequence[str] = ()
    sliders: Mapping[str, Any] = field(default_factory=dict)
    picture: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    example: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return loss_page(asdict(self))


def read_summaries(document: Any) -> list[LossSummary]:
    """Read ``{"losses": [...]}``; fields of a newer server are left out.

    Raises:
        MalformedBody: It is something else.
    """
    entries = document.get("losses") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise MalformedBody("expected the catalogue of a lossd server, got another document")
    return [_read(LossSummary, entry, f"losses[{index}]") for index, entry in enumerate(entries)]


def read_entry(document: Any) -> LossEntry:
    """Read one entry; fields of a newer server are left out.

    Raises:
        MalformedBody: It is something else.
    """
    entry = _read(LossEntry, document, "")
    for name in ("settings", "options"):
        for key, schema in getattr(entry, name).items():
            _check(dict, schema, f"{name}.{key}")
    for name in ("alias_details", "edges"):
        for index, each in enumerate(getattr(entry, name)):
            _check(dict, each, f"{name}[{index}]")
    arguments = [_read(ArgumentEntry, each, f"arguments[{i}]") for i, each in enumerate(entry.arguments)]
    return replace(entry, arguments=tuple(arguments))


def _read(kind: type[T], entry: Any, at: str) -> T:
    """Read the fields that are known, each of the type of its default; a name has none and is text."""
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise MalformedBody("expected an entry of the catalogue, got another value")
    read: dict[str, Any] = {}
    for each in fields(kind):  # type: ignore[arg-type]  # all three are dataclasses
        if each.name in entry:
            made = each.default_factory is not MISSING
            expected = dict if made else str if each.default is MISSING else type(each.default)
            value = _check(list if expected is tuple else expected, entry[each.name], _within(at, each.name))
            read[each.name] = tuple(value) if expected is tuple else value
    return kind(**read)


def _check(expected: type, value: Any, at: str) -> Any:
    if not isinstance(value, expected):
        raise MalformedBody(errors=[ErrorDetail(at, TYPE_NAMES[expected], type_name(value))])
    return value


def _within(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name
