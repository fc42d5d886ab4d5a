"""Formulas as MathML: written when a loss is declared, by ``make formulas``, and read here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from markupsafe import Markup, escape


@cache
def _written() -> Mapping[str, Mapping[str, str]]:
    text = (files("lossd.page") / "formulas.json").read_text(encoding="utf-8")
    found: Mapping[str, Mapping[str, str]] = json.loads(text)
    return found


def display(latex: str) -> Markup:
    """Return a formula on lines of its own; the LaTeX itself where nobody has run ``make formulas`` yet."""
    return _mathml("display", latex)


def inline(latex: str) -> Markup:
    """Return a formula within a line."""
    return _mathml("inline", latex)


def _mathml(mode: str, latex: str) -> Markup:
    mathml = _written()[mode].get(latex)
    return Markup(f"<code>{escape(latex)}</code>") if mathml is None else Markup(mathml)
