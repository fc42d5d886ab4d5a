"""Symbols of arguments and settings in formulas, and which of them a formula has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

# What most losses write for a name; a declaration says where its formula has another.
_USUAL = {
    "input": "x",
    "target": "t",
    "weight": "w",
    "anchor": "a",
    "positive": "p",
    "negative": "n",
    "embeddings": "x",
    "durations": "d",
    "events": "e",
    "margin": "m",
    "temperature": r"\tau",
    "eps": r"\epsilon",
    "scale": "s",
}
_GREEK = frozenset({"alpha", "beta", "gamma", "delta", "sigma", "lambda", "epsilon", "tau"})
_TOKEN = re.compile(r"\\[a-zA-Z]+|[a-zA-Z]")
_TEXT = re.compile(r"\\(?:text|mathrm|operatorname)\{[^}]*\}")


def symbol_of(name: str, own: Mapping[str, str]) -> str:
    """Return the symbol of an argument or a setting; empty if none is usual."""
    if name in own:
        return own[name]
    if name in _GREEK:
        return f"\\{name}"
    return name if len(name) == 1 else _USUAL.get(name, "")


def symbols_in(formulas: Iterable[str]) -> frozenset[str]:
    """Return the letters and commands of formulas, without those of words in them."""
    return frozenset(token for text in formulas for token in _TOKEN.findall(_TEXT.sub("", text)))
