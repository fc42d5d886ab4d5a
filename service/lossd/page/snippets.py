"""The same call in several languages: ``static/snippets.json`` has their programs, and this fills them in.

``static/js/snippets.js`` fills in the same programs where a page's arrays are edited. Values that a slider moves are
marked, so that the page can move them too. Lines that begin with ``{{guarded}}`` are for servers that ask for a key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup, escape

from lossd.declaration.loss import Loss
from lossd.page.numbers import depth, plain

URL = "http://127.0.0.1:8000"
_OPEN, _END, _CLOSE = "\x01", "\x02", "\x03"  # around the name and the value of what a slider moves
_DIRECTION = "hvp."  # begins the name of a direction for one argument
_GENERAL = {"group": "whole numbers"}  # what general arrays hold but numbers
_GUARDED = "{{guarded}}"  # begins a line that sends a key
_LONGEST_ARGUMENT = 100_000  # characters; Linux takes 131,072 bytes in one
# What `lossd.client.torch` decides itself, and how JSON is written.
_NOT_OF_THE_BRIDGE = frozenset(
    {"gradient", "upstream", "hessian", "hvp", "convention", "partial", "encoding"}
)
_WORDS = {"NaN": 'float("nan")', "Infinity": 'float("inf")', "-Infinity": 'float("-inf")'}


@dataclass(frozen=True)
class Snippet:
    """A program that posts a call."""

    language: str
    file: str
    code: Markup


@cache
def _programs() -> list[dict[str, Any]]:
    text = (files("lossd.page") / "static" / "snippets.json").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = json.loads(text)
    return found


def snippets(
    loss: Loss,
    call: Mapping[str, Any],
    moved: Collection[str] = (),
    url: str = URL,
    *,
    guarded: bool = False,
) -> list[Snippet]:
    """Write a call of a loss in every language.

    Args:
        loss: The loss.
        call: Its arguments, settings and options.
        moved: Settings whose values are marked.
        url: The server.
        guarded: Whether it asks for a key: the programs send the one that LOSSD_TOKEN holds.
    """
    filled = _Call(loss, call, frozenset(moved))
    values = {
        "url": escape(url),
        "loss": loss.name,
        **{name: write(filled) for name, write in _FORMS.items()},
    }
    found = []
    for program in _programs():
        lines = [line for line in program["code"] if guarded or not line.startswith(_GUARDED)]
        code = "\n".join(line.removeprefix(_GUARDED) for line in lines)
        for name, value in values.items():
            code = code.replace(f"{{{{{name}}}}}", value)
        found.append(Snippet(program["language"], program["file"], _marked(code)))
    return found


@dataclass(frozen=True)
class _Call:
    loss: Loss
    members: Mapping[str, Any]
    moved: frozenset[str]

    def json_of(self, name: str) -> str:
        text = json.dumps(plain(self.members[name]))
        return f"{_OPEN}{name}{_END}{text}{_CLOSE}" if name in self.moved else text

    def python_of(self, name: str) -> str:
        text = _python(plain(self.members[name]))
        return f"{_OPEN}{name}{_END}{text}{_CLOSE}" if name in self.moved else text

    @property
    def arrays(self) -> list[str]:
        return [name for name in self.members if name in self.loss.by_name]

    @property
    def options(self) -> list[str]:
        return [name for name in self.members if name not in self.loss.by_name]


def _json(call: _Call) -> str:
    return "{\n" + ",\n".join(f'  "{name}": {call.json_of(name)}' for name in call.members) + "\n}"


def _line(call: _Call) -> str:
    return "{" + ", ".join(f'"{name}": {call.json_of(name)}' for name in call.members) + "}"


def _c_lines(call: _Call) -> str:
    parts = [f'"{name}": {call.json_of(name)}' for name in call.members]
    ends = ["{" + parts[0], *parts[1:]]
    lines = [part + (", " if i + 1 < len(ends) else "}") for i, part in enumerate(ends)]
    return "\n        ".join('"' + line.replace('"', '\\"') + '"' for line in lines)


def _keywords(call: _Call) -> str:
    """Write a call as the Python client takes it, which has one keyword for all directions and encodes by itself."""
    several = any(name.startswith(_DIRECTION) for name in call.members)
    directions = [name for name in call.members if several and (name + ".").startswith(_DIRECTION)]
    plain_names = [name for name in call.members if name not in directions and name != "encoding"]
    lines = [f"    {name}={call.python_of(name)},\n" for name in plain_names]
    if directions:
        first = next(iter(call.loss.directions.values()))  # which a direction without a name is for
        each = (f'"{name.partition(".")[2] or first}": {call.python_of(name)}' for name in directions)
        lines.append(f"    hvp={{{', '.join(each)}}},\n")
    return "".join(lines)


def _python_print(call: _Call) -> str:
    """Print the value and whatever derivatives are asked for, by reduction where there are several."""
    kinds = {name.partition(".")[0] for name in call.members} & {"hessian", "hvp"}
    names = ("value", "gradient", *sorted(kinds))
    reductions = _reductions(call)
    if len(reductions) < 2:
        return f"print({', '.join(f'result.{name}' for name in names)})"
    parts = ", ".join(f"result[reduction].{name}" for name in names)
    return f"for reduction in {_python(reductions)}:\n    print(reduction, {parts})"


def _torch_arrays(call: _Call) -> str:
    lines = []
    for name in call.arrays:
        argument, value = call.loss.by_name[name], call.members[name]
        more = "" if _is_whole(argument.domain, value) else ", dtype=torch.float64"
        if name in call.loss.gradient:
            more += ", requires_grad=True"
        lines.append(f"{name} = torch.tensor({_python(plain(value))}{more})")
    return "\n".join(lines)


def _torch_settings(call: _Call) -> str:
    written = {name: call.python_of(name) for name in call.options if _is_bridged(name)}
    if "reduction" in written:
        written["reduction"] = _python(_reduction(call))
    return "".join(f", {name}={value}" for name, value in written.items())


def _torch_left_out(call: _Call) -> str:
    """Say which options the program leaves out, since that changes what it computes."""
    left = [name for name in call.options if not _is_bridged(name) and name not in ("gradient", "encoding")]
    left += [f"the reduction {name}" for name in _reductions(call) if name != _reduction(call)]
    return f"# This program leaves out {', '.join(left)}.\n" if left else ""


def _is_bridged(name: str) -> bool:
    return name not in _NOT_OF_THE_BRIDGE and not name.startswith(_DIRECTION)


def _reduction(call: _Call) -> Any:
    """Return the one reduction that PyTorch's bridge takes: of several the first that gives one number."""
    return next((name for name in _reductions(call) if name != "none"), "none")


def _reductions(call: _Call) -> list[Any]:
    chosen = call.members.get("reduction", "mean")
    return list(dict.fromkeys(chosen if isinstance(chosen, list) else [chosen]))


def _torch_arguments(call: _Call) -> str:
    return ", ".join(f"{name}={name}" for name in call.arrays)


def _torch_backward(call: _Call) -> str:
    gradient = next(name for name in call.arrays if name in call.loss.gradient) + ".grad"
    if _reduction(call) == "none" or call.members.get("axis") is not None:
        return f"loss.sum().backward()\nprint(loss, {gradient})"
    return f"loss.backward()\nprint(loss.item(), {gradient})"


def _curl_data(body: str) -> str:
    """Write a body as curl takes it: as an argument, or from its input where it is too long for one."""
    if len(body) > _LONGEST_ARGUMENT:
        return f"--data-binary @- <<'JSON'\n{body}\nJSON"
    quoted = body.replace("'", "'\\''")
    return f"-d '{quoted}'"


def _infer(call: _Call) -> str:
    """Write a call in the Open Inference Protocol, where weights, masks, groups and directions are inputs too."""
    general = [name for name in call.options if name in call.loss.array_names]
    inputs = []
    for name in (*call.arrays, *general):
        value = plain(call.members[name])
        domain = call.loss.by_name[name].domain if name in call.arrays else _GENERAL.get(name, "numbers")
        kind = "BOOL" if _is_boolean(value) else "INT64" if _is_whole(domain, value) else "FP64"
        shape, data = json.dumps(_shape(value)), json.dumps(_flat(value))
        inputs.append(f'    {{"name": "{name}", "datatype": "{kind}", "shape": {shape}, "data": {data}}}')
    options = ", ".join(f'"{name}": {call.json_of(name)}' for name in call.options if name not in general)
    return '{\n  "parameters": {' + options + '},\n  "inputs": [\n' + ",\n".join(inputs) + "\n  ]\n}"


_FORMS: Mapping[str, Callable[[_Call], str]] = {
    "json": _json,
    "shell_data": lambda call: _curl_data(_json(call)),
    "line": _line,
    "c": _c_lines,
    "keywords": _keywords,
    "python_print": _python_print,
    "torch_arrays": _torch_arrays,
    "torch_left_out": _torch_left_out,
    "torch_settings": _torch_settings,
    "torch_arguments": _torch_arguments,
    "torch_backward": _torch_backward,
    "infer_data": lambda call: _curl_data(_infer(call)),
}


def _is_whole(domain: str, value: Any) -> bool:
    """Return whether an array of this domain, as people read it, is sent as whole numbers."""
    return (
        domain.startswith("whole numbers") and all(isinstance(x, int) for x in _flat(plain(value)))
    ) or _is_boolean(value)


def _is_boolean(value: Any) -> bool:
    return all(isinstance(x, bool) for x in _flat(value))


def _flat(value: Any) -> list[Any]:
    return [x for part in value for x in _flat(part)] if isinstance(value, list) else [value]


def _shape(value: Any) -> list[int]:
    return [len(value), *_shape(value[0])] if depth(value) else []


def _python(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_python, value)) + "]"
    return _WORDS.get(value, json.dumps(value)) if isinstance(value, str) else repr(value)


def _marked(code: str) -> Markup:
    """Escape code, and wrap what a slider moves into an element."""
    html = str(escape(code))
    html = html.replace(_OPEN, '<span data-bind="').replace(_END, '">').replace(_CLOSE, "</span>")
    return Markup(html)
