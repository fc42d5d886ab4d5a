"""Renders the pages from the declarations: each once, when it is first asked for."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from lossd.declaration.loss import Loss
from lossd.engine import evaluate, request_model
from lossd.loss_page import default_of, values_of
from lossd.losses import LOSSES
from lossd.message import Answer
from lossd.page import assets, formulas
from lossd.page.drawing import Range, card, overlay, still
from lossd.page.edges import EdgeCall, edge_calls
from lossd.page.frameworks import by_framework, common_names, nearest, not_offered
from lossd.page.numbers import matrix, plain, shade, shown
from lossd.page.picture import Control, controls, specification
from lossd.page.samples import curve, example_call, spaced
from lossd.page.snippets import Snippet, snippets

SAMPLES = 401
# What Compare begins with, each under the class of its line: the losses of the tutorial on outliers.
COMPARED: Sequence[Mapping[str, Any]] = (
    {"key": "mse", "loss": "mse", "settings": {}},
    {"key": "l1", "loss": "l1", "settings": {}},
    *(
        {"key": f"huber-{i}", "loss": "huber", "settings": {"delta": delta}}
        for i, delta in enumerate((0.1, 1, 10))
    ),
)
COMPARED_RANGE = Range(-0.4, 8.0)
LEAST_FAMILY = 3  # a smaller family shares its row with others


@dataclass(frozen=True)
class LossPage:
    """What the page of a loss shows besides its declaration."""

    loss: Loss
    controls: list[Control]
    specification: str
    still: Markup | None
    edges: tuple[EdgeCall, ...]
    example: Mapping[str, Any]
    snippets: list[Snippet]
    try_address: str

    @property
    def names(self) -> Mapping[str, list[Any]]:
        """Aliases by framework."""
        found: dict[str, list[Any]] = {}
        for alias in self.loss.aliases:
            found.setdefault(alias.framework, []).append(alias)
        return found

    @property
    def settings(self) -> list[dict[str, str]]:
        """Settings with what they may be, their defaults and their meaning."""
        schema = request_model(self.loss).model_json_schema()["properties"]
        return [
            {
                "name": name,
                "values": values_of(schema[name]).replace("`", ""),
                "default": default_of(schema[name]).replace("`", ""),
                "description": schema[name].get("description", ""),
                "gradient": "yes" if name in self.loss.differentiable_settings else "none",
            }
            for name in self.loss.settings
        ]


def home(*, guarded: bool = False) -> str:
    """Render the catalogue."""
    families: dict[str, list[Loss]] = {}
    for loss in LOSSES.values():
        families.setdefault(loss.family, []).append(loss)
    large = {family: losses for family, losses in families.items() if len(losses) >= LEAST_FAMILY}
    small = {family: losses for family, losses in families.items() if family not in large}
    names = {"frameworks": by_framework(), "common_names": common_names, "not_offered": not_offered()}
    return _render("home", "./", guarded=guarded, families=large, small=small, card=card, **names)


def loss_page(loss: Loss, *, guarded: bool = False) -> str:
    """Render the page of a loss."""
    names = list(LOSSES)
    place = names.index(loss.name)
    before = names[place - 1] if place else None
    after = names[place + 1] if place + 1 < len(names) else None
    return _render(
        "loss", "../", guarded=guarded, loss=loss, about=_about(loss, guarded), before=before, after=after
    )


def try_page(*, guarded: bool = False) -> str:
    """Render the page on which arrays are edited."""
    programs = [snippet.language for snippet in snippets(LOSSES["mse"], LOSSES["mse"].example.call)]
    return _render("try", "./", guarded=guarded, losses=LOSSES, languages=programs)


def compare_page(*, guarded: bool = False) -> str:
    """Render the page that draws several losses over each other."""
    residual = [loss for loss in LOSSES.values() if loss.of_residual]
    xs = spaced(LOSSES["mse"].picture.low, LOSSES["mse"].picture.high, SAMPLES)
    lines = {each["key"]: curve(LOSSES[each["loss"]], xs, each["settings"]) for each in COMPARED}
    first = {"still": overlay(lines, COMPARED_RANGE), "compared": COMPARED, "range": COMPARED_RANGE}
    return _render("compare", "./", guarded=guarded, residual=residual, controls=controls, **first)


def missing_page(name: str, reason: str, *, guarded: bool = False, root: str = "../") -> str:
    """Render what stands where nothing has a name: why, and the losses whose names are nearest."""
    near = [{"name": each.name, "loss": LOSSES[each.loss]} for each in nearest(name)]
    return _render("missing", root, guarded=guarded, wanted=name, reason=reason, near=near, card=card)


def _about(loss: Loss, guarded: bool) -> LossPage:
    moved = controls(loss)
    start: dict[str, Any] = dict(loss.example.call)
    for control in moved:
        if control.name in loss.settings:
            start.setdefault(control.name, control.value)
    request = {**start, "gradient": True}
    sliders = [control.name for control in moved if not control.choices]
    return LossPage(
        loss=loss,
        controls=moved,
        specification=specification(loss),
        still=_still(loss),
        edges=edge_calls(loss),
        example=_worked(loss, [control.name for control in moved]),
        snippets=snippets(loss, request, sliders, guarded=guarded),
        try_address=f"try#{loss.name}={quote(json.dumps(posted(loss), separators=(',', ':')))}",
    )


def posted(loss: Loss) -> dict[str, Any]:
    """Return the call of the worked example as it is posted: with whole numbers written as such."""
    return {name: plain(value) for name, value in {**loss.example.call, "gradient": True}.items()}


def _still(loss: Loss) -> Markup | None:
    if loss.picture.kind != "curve":
        return None
    return still(curve(loss, spaced(loss.picture.low, loss.picture.high, SAMPLES)))


def _worked(loss: Loss, moved: list[str]) -> Mapping[str, Any]:
    """Evaluate the worked example: its arrays, its values, its mean and the gradient of that.

    Its settings are its own and those that the page's controls move, since it does not follow them.
    """
    answer: Answer = evaluate(loss, example_call(loss, reduction=["none", "mean"], gradient=True))
    return {
        "arrays": {name: value for name, value in loss.example.call.items() if name in loss.by_name},
        "settings": {
            name: plain(loss.example.call.get(name, default))
            for name, (_, default) in loss.settings.items()
            if name in loss.example.call or name in moved
        },
        "value": answer.loss["none"].tolist(),
        "mean": float(answer.loss["mean"]),
        "denominator": float(answer.denominator),
        "gradient": {name: array.tolist() for name, array in answer.gradient["mean"].items()},
    }


def prose(text: str) -> Markup:
    """Write text with code in backticks as HTML."""
    parts = str(escape(text)).replace("\n\n", "</p><p>").replace("\n", " ").split("`")
    return Markup("".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts)))


def source(text: str) -> Markup:
    """Write a source with its addresses as links."""
    parts = []
    for part in text.split("; "):
        if part.startswith("https://"):
            address = urlsplit(part)
            name = address.path.rstrip("/").rpartition("/")[2].removesuffix(".html")
            parts.append(f'<a href="{escape(part)}">{escape(f"{address.netloc} {name}")}</a>')
        else:
            parts.append(str(escape(part)))
    return Markup("<br>".join(parts))


def breakable(name: str) -> Markup:
    """Write a name that may break behind its underscores."""
    return Markup(str(escape(name)).replace("_", "_<wbr>"))


def _position(x: float | str | None) -> str:
    """Write an edge's place as the page's script reads it."""
    if x is None or isinstance(x, str):
        return x or ""
    return "NaN" if math.isnan(x) else repr(x).replace("inf", "Infinity")


def _render(name: str, root: str, *, guarded: bool, **context: Any) -> str:
    address = f"{root}static/{assets.version()}"
    return (
        _environment()
        .get_template(f"{name}.html")
        .render(page=name, root=root, guarded=guarded, assets=address, number_of=len(LOSSES), **context)
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("lossd.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(matrix=matrix, display=formulas.display, inline=formulas.inline)
    environment.filters.update(
        shown=shown, prose=prose, source=source, shade=shade, position=_position, breakable=breakable
    )
    return environment
