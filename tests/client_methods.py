"""This file is where the client's methods come from: ``python -m tests.client_methods`` writes them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from textwrap import dedent, indent, wrap
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np

from lossd.engine import Options
from lossd.engine.request import ReductionName
from lossd.losses import LOSSES
from lossd.losses.spec import GENERAL_ARRAYS, Argument, Loss

FILE = Path(__file__).parent.parent / "service" / "lossd" / "client" / "methods.py"
OF_THE_BYTES = {"encoding"}  # the client chooses the format

HEAD = '''\
"""This file is a method for every loss, so that editors complete them; ``make client`` writes it, nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Literal, TypedDict, TypeVar, Unpack

from numpy.typing import ArrayLike

R = TypeVar("R")

'''
LOSSES_CLASS = '''\
class Losses(Generic[R]):
    """A method for every loss; ``R`` is what evaluating one returns."""

    def evaluate(self, loss: str, /, **values: Any) -> R:
        """Evaluate any loss by its name or an alias."""
        raise NotImplementedError
'''


def source() -> str:
    """Write the module, formatted as the formatter would."""
    arrays = {x.name: tuple(a.name for a in x.arguments + x.vectors) for x in LOSSES.values()}
    aliases = {alias.name: x.name for x in LOSSES.values() for alias in x.aliases}
    objectives = tuple(a.name for x in LOSSES.values() for a in x.aliases if "convention" in a.defaults)
    shadowed = sorted({shadow for x in LOSSES.values() if (shadow := shadows(x))})
    parts = [
        HEAD
        + f"Reduction = {annotation(ReductionName)}\n"
        + table("ARRAYS", "tuple[str, ...]", arrays, "The arrays of each loss, its arguments first.")
        + table("ALIASES", "str", aliases, "Other names of the losses.")
        + listing(
            "OBJECTIVES", objectives, "Those that mean the derivatives of a boosting library's objective."
        )
        + f"GENERAL_ARRAYS = {written(GENERAL_ARRAYS)}\n",
        options_class(()),
        *map(options_class, shadowed),
        LOSSES_CLASS + "".join("\n" + indent(method(x), "    ") for x in LOSSES.values()),
    ]
    return "\n\n".join(parts)


def table(name: str, kind: str, entries: dict[str, Any], text: str) -> str:
    rows = "".join(f"    {written(key)}: {written(value)},\n" for key, value in entries.items())
    return f'{name}: Mapping[str, {kind}] = {{\n{rows}}}\n"""{text}"""\n\n'


def listing(name: str, entries: tuple[str, ...], text: str) -> str:
    rows = "".join(f"    {written(entry)},\n" for entry in entries)
    return f'{name} = (\n{rows})\n"""{text}"""\n\n'


def shadows(loss: Loss) -> tuple[str, ...]:
    """Return the general options whose names a loss gives to settings of its own."""
    return tuple(sorted(set(loss.settings) & set(Options.model_fields)))


def options_class_name(without: Iterable[str]) -> str:
    return "Options" + "".join(f"Without{name.title().replace('_', '')}" for name in without)


def options_class(without: tuple[str, ...]) -> str:
    """Write the general options as a type, but for those that a loss's settings take the place of."""
    fields = [
        f'    {name}: {option_type(field.annotation)}\n    """{field.description}"""\n'
        for name, field in Options.model_fields.items()
        if name not in OF_THE_BYTES and name not in without
    ]
    text = f"The general options but for {', '.join(without)}." if without else "The general options."
    head = f'class {options_class_name(without)}(TypedDict, total=False):\n    """{text}"""\n\n'
    return head + "".join(fields)


def option_type(hint: Any) -> str:
    return annotation(hint).replace(annotation(ReductionName), "Reduction")


def method(loss: Loss) -> str:
    """Write the method of one loss."""
    may_lack = [argument.optional or argument.name in loss.one_of for argument in loss.arguments]
    # What follows a parameter with a default must have one, too; the service says where one is missing.
    parameters = [
        array_parameter(argument, optional=any(may_lack[: place + 1]))
        for place, argument in enumerate(loss.arguments)
    ]
    keywords = [array_parameter(vector, optional=vector.optional) for vector in loss.vectors]
    keywords += [setting_parameter(name, *pair) for name, pair in loss.settings.items()]
    if keywords:
        parameters += ["*", *keywords]
    names = [*(a.name for a in loss.arguments + loss.vectors), *loss.settings]
    parameters.append(f"**options: Unpack[{options_class_name(shadows(loss))}]")
    lines = [
        f"def {loss.name}(",
        *(f"    {parameter}," for parameter in ("self", *parameters)),
        ") -> R:",
        indent(docstring(loss), "    "),
        "    return self.evaluate(",
        f"        {written(loss.name)},",
        *(f"        {name}={name}," for name in names),
        "        **options,",
        "    )",
    ]
    return "\n".join(lines) + "\n"


def array_parameter(argument: Argument, *, optional: bool) -> str:
    return f"{argument.name}: ArrayLike" + (" | None = None" if optional else "")


def setting_parameter(name: str, hint: Any, default: Any) -> str:
    value = "" if default is ... else f" = {written(default)}"
    return f"{name}: {annotation(hint)}{value}"


def docstring(loss: Loss) -> str:
    arrays = [f"- ``{a.name}``: {a.domain}, of shape {a.shape}" for a in loss.arguments + loss.vectors]
    paragraphs = [wrap(" ".join(text.split()), 96) for text in dedent(loss.description).split("\n\n") if text]
    listed = [line for item in arrays for line in wrap(item, 96, subsequent_indent="  ")]
    return "\n\n".join([f'"""{loss.summary}', *map("\n".join, [*paragraphs, listed])]) + '\n"""'


def annotation(hint: Any) -> str:
    """Write a type as it is written in source."""
    if hasattr(hint, "__metadata__"):
        return annotation(hint.__origin__)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " | ".join(map(annotation, arguments))
    if origin is Literal:
        return f"Literal[{', '.join(map(written, arguments))}]"
    if origin is np.ndarray:
        return "ArrayLike"
    if origin is not None:
        return f"{origin.__name__}[{', '.join(map(annotation, arguments))}]"
    return "None" if hint is NoneType else str(hint.__name__)


def written(value: Any) -> str:
    """Write a value with the quotation marks of the house."""
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(written, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


if __name__ == "__main__":
    FILE.write_text(source())
    sys.stdout.write(f"wrote {FILE}\n")
