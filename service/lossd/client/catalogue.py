"""The catalogue as the server tells it: every loss in brief, and all about one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from lossd.errors import MalformedBody

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
        formula: The loss of one row, in LaTeX.
        boosting: Whose objective ``convention="gbm"`` follows; empty where no boosting library has the loss.
        settings: Setting to its JSON Schema.
        options: General option to its JSON Schema.
        example: A ``request``, and its ``value`` before any reduction.
    """

    name: str
    family: str = ""
    summary: str = ""
    aliases: tuple[str, ...] = ()
    alias_details: Sequence[Mapping[str, Any]] = ()
    description: str = ""
    formula: str = ""
    source: str = ""
    boosting: str = ""
    arguments: tuple[ArgumentEntry, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    example: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        arguments = [_line(a.name, a.shape, a.values + ", optional" * a.optional) for a in self.arguments]
        settings = [
            _line(name, f"default {schema['default']!r}" if "default" in schema else "required")
            for name, schema in self.settings.items()
        ]
        differences = [
            _line(str(alias.get("name")), str(difference))
            for alias in self.alias_details
            if (difference := alias.get("difference"))
        ]
        return "\n".join(
            [
                f"{self.name}: {self.summary}",
                *(["", self.description, ""] if self.description else []),
                f"formula  {self.formula}",
                f"source   {self.source}",
                *([f"gbm      {self.boosting}"] if self.boosting else []),
                f"aliases  {', '.join(self.aliases) or 'none'}",
                *differences,
                *["arguments", *arguments],
                *(["settings", *settings] if settings else []),
                f"options  {', '.join(self.options)}",
            ]
        )


def read_summaries(document: Any) -> list[LossSummary]:
    """Read ``{"losses": [...]}``; fields of a newer server are left out.

    Raises:
        MalformedBody: It is something else.
    """
    entries = document.get("losses") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise MalformedBody("expected the catalogue of a lossd server, got another document")
    return [_read(LossSummary, entry) for entry in entries]


def read_entry(document: Any) -> LossEntry:
    """Read one entry; fields of a newer server are left out.

    Raises:
        MalformedBody: It is something else.
    """
    arguments = document.get("arguments", ()) if isinstance(document, dict) else ()
    return _read(LossEntry, document, arguments=tuple(_read(ArgumentEntry, each) for each in arguments))


def _read(kind: type[T], entry: Any, **read: Any) -> T:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise MalformedBody("expected an entry of the catalogue, got another value")
    names = {each.name for each in fields(kind)}  # type: ignore[arg-type]  # all three are dataclasses
    known = {name: value for name, value in entry.items() if name in names}
    if "aliases" in known:
        known["aliases"] = tuple(known["aliases"])
    return kind(**{**known, **read})


def _line(*cells: str) -> str:
    return f"  {cells[0]:<15} " + "  ".join(cells[1:])
