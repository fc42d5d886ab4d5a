"""Writes the client's methods from the declarations of the losses: ``python -m tests.client_methods``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from textwrap import dedent, indent, wrap
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np

from lossd.declaration.general_names import GENERAL_ARRAYS
from lossd.declaration.loss import Loss
from lossd.declaration.signature import Argument
from lossd.engine import Options, request_model
from lossd.engine.options import ReductionName
from lossd.losses import LOSSES

FILE = Path(__file__).parent.parent / "service" / "lossd" / "client" / "methods.py"
OF_THE_BYTES = {"encoding"}  # the client chooses the format
OPTIONS = {name: field for name, field in Options.model_fields.items() if name not in OF_THE_BYTES}
WIDTH = 120
WORDS = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list of them",
    "null": "None",
    "string": "a string",
}
BOUNDS = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}

HEAD = '''\
"""A method for every loss, so that editors complete them; ``make client`` writes this file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from lossd.client.keywords import hinted
from lossd.message import Partial

R = TypeVar("R")

'''
LOSSES_CLASS = '''\
class Losses(Generic[R]):
    """A method for every loss; ``R`` is what evaluating one returns."""

    def evaluate(self, loss: str, /, **values: Any) -> R:
        """Evaluate any loss by its name or an alias."""
        raise NotImplementedError

    def _evaluate(self, loss: str, values: dict[str, Any]) -> R:
        # A method's locals are its parameters; a general option at its default need not be sent.
        sent = {
            name: value
            for name, value in values.items()
            if name != "self" and (name not in DEFAULTS or value is not DEFAULTS[name])
        }
        return self.evaluate(loss, **sent)
'''
ONLY_HERE = {
    # The service has a name of a dtype alone; the client turns NumPy's types into names.
    "dtype": "DType | type[np.generic] | np.dtype[Any] | None",
    # The service has a name for the direction of each argument.
    "hvp": "ArrayLike | Mapping[str, ArrayLike] | None",
    "partial": "Partial | Mapping[str, Any] | None",
}


def source() -> str:
    """Write the module, formatted as the formatter would."""
    arrays = {x.name: (*x.by_name, *(["group"] if x.ragged else [])) for x in LOSSES.values()}
    aliases = {alias.name: x.name for x in LOSSES.values() for alias in x.aliases}
    objectives = tuple(a.name for x in LOSSES.values() for a in x.aliases if "convention" in a.defaults)
    defaults = {name: field.default for name, field in OPTIONS.items()}
    parts = [
        HEAD
        + f"Reduction = {annotation(ReductionName)}\n"
        + f"DType = {annotation(OPTIONS['dtype'].annotation).removesuffix(' | None')}\n"
        + table("ARRAYS", "tuple[str, ...]", arrays, "The arrays of each loss, its arguments first.")
        + table("ALIASES", "str", aliases, "Other names of the losses.")
        + listing(
            "OBJECTIVES", objectives, "Those that mean the derivatives of a boosting library's objective."
        )
        + f"GENERAL_ARRAYS = {written(GENERAL_ARRAYS)}\n"
        + table("DEFAULTS", "Any", defaults, "The general options.").rstrip("\n")
        + "\n",
        LOSSES_CLASS + "".join("\n" + indent(method(x), "    ") for x in LOSSES.values()),
    ]
    return "\n\n".join(parts)


def table(name: str, kind: str, entries: dict[str, Any], text: str) -> str:
    rows = "".join(f"    {written(key)}: {written(value)},\n" for key, value in entries.items())
    return f'{name}: Mapping[str, {kind}] = {{\n{rows}}}\n"""{text}"""\n\n'


def listing(name: str, entries: tuple[str, ...], text: str) -> str:
    rows = "".join(f"    {written(entry)},\n" for entry in entries)
    return f'{name} = (\n{rows})\n"""{text}"""\n\n'


def method(loss: Loss) -> str:
    """Write the method of one loss."""
    positional = [argument for argument in loss.arguments if not argument.keyword]
    may_lack = [argument.optional or argument.name in loss.one_of for argument in positional]
    # What follows a parameter with a default must have one, too; the service says where one is missing.
    arguments = [
        array_parameter(argument, optional=any(may_lack[: place + 1]))
        for place, argument in enumerate(positional)
    ]
    keywords = [
        *(["group: ArrayLike | None = None"] if loss.ragged else []),
        *(array_parameter(a, optional=a.optional) for a in loss.arguments if a.keyword),
        *(setting_parameter(name, *pair) for name, pair in loss.settings.items()),
        *(
            f"{name}: {option_type(name)} = {written(OPTIONS[name].default)}"
            for name in general_options(loss)
        ),
    ]
    lines = [
        "@hinted",
        f"def {loss.name}(",
        *(f"    {parameter}," for parameter in ("self", *arguments, "*", *keywords)),
        ") -> R:",
        indent(docstring(loss), "    "),
        f"    return self._evaluate({written(loss.name)}, locals())",
    ]
    return "\n".join(lines) + "\n"


def general_options(loss: Loss) -> list[str]:
    """Return the general options that go with a loss: a setting of its own takes the place of one."""
    return [name for name in OPTIONS if name not in loss.settings]


def option_type(name: str) -> str:
    hint = annotation(OPTIONS[name].annotation)
    return ONLY_HERE.get(name) or hint.replace(annotation(ReductionName), "Reduction")


def array_parameter(argument: Argument, *, optional: bool) -> str:
    return f"{argument.name}: ArrayLike" + (" | None = None" if optional else "")


def setting_parameter(name: str, hint: Any, default: Any) -> str:
    value = "" if default is ... else f" = {written(default)}"
    return f"{name}: {annotation(hint)}{value}"


def docstring(loss: Loss) -> str:
    """Write the docstring: what the loss is, and every parameter in one line or two."""
    paragraphs = [wrap(" ".join(text.split()), 96) for text in dedent(loss.description).split("\n\n") if text]
    listed = [f"{a.name}: {a.domain}, of shape {a.shape}" for a in loss.arguments]
    if loss.ragged:
        listed.append(f"group: {request_model(loss).model_fields['group'].description}")
    listed += [f"{name}: {setting_range(loss, name)}" for name in loss.settings]
    listed += [f"{name}: {OPTIONS[name].description}" for name in general_options(loss)]
    lines = ["    " + line for item in listed for line in wrap(item, WIDTH - 12, subsequent_indent=" " * 4)]
    return "\n\n".join([f'"""{loss.summary}', *map("\n".join, [*paragraphs, ["Args:", *lines]])]) + '\n"""'


def setting_range(loss: Loss, name: str) -> str:
    """Write what a setting may be, as its JSON Schema says."""
    schema = request_model(loss).model_json_schema()["properties"][name]
    kinds = " or ".join(WORDS[each["type"]] for each in schema.get("anyOf", [schema]))
    bounds = [f"{sign} {schema[key]:g}" for key, sign in BOUNDS.items() if key in schema]
    default = f"; {written(schema['default'])} by default" if schema.get("default") is not None else ""
    return f"setting, {kinds} {' and '.join(bounds)}".rstrip() + default


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
