"""Reads a kernel's signature and docstring: its arguments, its settings, and their descriptions."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import Field

from lossd.declaration.domain import Domain
from lossd.declaration.index_domain import Index
from lossd.declaration.picture import Slider
from lossd.declaration.role import Role

_CLASS_AXIS = "Axis of the classes; 1 is also that of an array which has no other."
# Settings that place core axes, and their types: a loss does not declare them, its roles name them.
PLACING: Mapping[str, Any] = {"class_axis": Annotated[int, Field(description=_CLASS_AXIS)]}


@dataclass(frozen=True, eq=False)
class Argument:
    """An array that a loss takes: its name, its role, whether it may be left out, and whether only by name."""

    name: str
    role: Role
    optional: bool
    keyword: bool = False

    @property
    def shape(self) -> str:
        """The shapes as people read them."""
        return str(self.role)

    @property
    def domain(self) -> str:
        """What values it may hold, as people read it."""
        return ", or ".join(dict.fromkeys(str(form.domain) for form in self.role.forms))

    @property
    def differentiable(self) -> bool:
        """Whether it can have a gradient."""
        return self.role.differentiable


class Differentiable:
    """Marks a real setting with respect to which a loss can be differentiated."""


_ADVICE = re.compile(r"^(?P<when>Use|Avoid): +(?P<text>.*(?:\n[ ]+.*)*)\n*", re.MULTILINE)
_SECTION = re.compile(r"^Settings:\n(?P<entries>(?:[ ]+.*\n?|\n)*)", re.MULTILINE)
_ENTRY = re.compile(r"^ {4}(\w+): +(.*(?:\n {5,}.*)*)", re.MULTILINE)


@dataclass(frozen=True)
class Documentation:
    """What a kernel's docstring says.

    Attributes:
        summary: Its first line.
        description: The paragraphs after it.
        use: What the loss is for.
        avoid: What it is not for, and what to call instead.
        settings: Setting to its description.
    """

    summary: str
    description: str
    use: str
    avoid: str
    settings: Mapping[str, str]


def read_docstring(kernel: Callable[..., Any]) -> Documentation:
    """Split a kernel's docstring into its parts."""
    text = (inspect.getdoc(kernel) or "").replace("``", "`")  # as Markdown and JSON show code
    section = _SECTION.search(text)
    described = {}
    if section is not None:
        described = {name: " ".join(said.split()) for name, said in _ENTRY.findall(section["entries"])}
        text = text[: section.start()] + text[section.end() :]
    advice = {found["when"]: " ".join(found["text"].split()) for found in _ADVICE.finditer(text)}
    summary, _, description = _ADVICE.sub("", text).partition("\n")
    return Documentation(
        summary, description.strip(), advice.get("Use", ""), advice.get("Avoid", ""), described
    )


@dataclass(frozen=True)
class Signature:
    """A kernel's parameters.

    Attributes:
        arguments: The arrays.
        settings: Setting to its type and default, as pydantic takes them; an Ellipsis for none.
        differentiable: Settings that have a gradient.
        domains: Whole setting to the domain that it selects from.
        sliders: Setting to the range over which a picture varies it, where its bounds do not say it.
    """

    arguments: tuple[Argument, ...]
    settings: Mapping[str, tuple[Any, Any]]
    differentiable: tuple[str, ...]
    domains: Mapping[str, Domain]
    sliders: Mapping[str, Slider]


def read_signature(kernel: Callable[..., Any], described: Mapping[str, str]) -> Signature:
    """Read the parameters of a kernel.

    Args:
        kernel: The kernel.
        described: Parameter to its description.

    Raises:
        TypeError: An array has no role, or a setting has no type.
    """
    hints = get_type_hints(kernel, include_extras=True)
    arguments: list[Argument] = []
    settings: dict[str, tuple[Any, Any]] = {}
    smooth: list[str] = []
    domains: dict[str, Domain] = {}
    sliders: dict[str, Slider] = {}
    for name, parameter in inspect.signature(kernel).parameters.items():
        marks = _marks(hints.get(name))
        role = next((mark for mark in marks if isinstance(mark, Role)), None)
        required = parameter.default is parameter.empty
        keyword = parameter.kind is parameter.KEYWORD_ONLY
        if role is not None:
            arguments.append(Argument(name, role, not required, keyword))
            continue
        if not keyword:
            raise TypeError(f"{kernel.__name__}: expected a Role such as Real on `{name}`")
        if name not in hints:
            raise TypeError(f"{kernel.__name__}: expected a type such as float on the setting `{name}`")
        hint: Any = _described(hints[name], described.get(name))
        settings[name] = (hint, ... if required else parameter.default)
        if Differentiable in marks:
            smooth.append(name)
        selects = next((mark for mark in marks if isinstance(mark, Index)), None)
        if selects is not None:
            domains[name] = selects
        slider = next((mark for mark in marks if isinstance(mark, Slider)), None)
        if slider is not None:
            sliders[name] = slider
    forms = [form for argument in arguments for form in argument.role.forms]
    placing = {setting: form.default_axis for form in forms for setting in form.axes.values()}
    settings |= {name: (hint, placing[name]) for name, hint in PLACING.items() if name in placing}
    return Signature(tuple(arguments), settings, tuple(smooth), domains, sliders)


def _described(hint: Any, description: str | None) -> Any:
    return Annotated[hint, Field(description=description)]


def _marks(hint: Any) -> tuple[Any, ...]:
    """Return the metadata of an ``Annotated`` hint, also inside ``X | None``."""
    if hasattr(hint, "__metadata__"):
        return tuple(hint.__metadata__)
    if get_origin(hint) is None:
        return ()
    return tuple(mark for inner in get_args(hint) for mark in _marks(inner))
