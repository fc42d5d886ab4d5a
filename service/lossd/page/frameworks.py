"""The names of other frameworks: you used X, call Y, and what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain
from typing import NamedTuple

from lossd.declaration.alias import NOT_OFFERED
from lossd.losses import LOSSES, near
from lossd.losses.suggestions import COMMON_NAMES

# Those that most people come from, first.
_FIRST = ("PyTorch", "Keras", "TensorFlow", "optax", "scikit-learn", "XGBoost", "LightGBM", "CatBoost")


class Name(NamedTuple):
    """A framework's name for a loss.

    Attributes:
        name: The name.
        loss: What it is here.
        difference: What differs under this name, in whole sentences; empty if nothing does.
    """

    name: str
    loss: str
    difference: str


class NotOffered(NamedTuple):
    """Frameworks' names that would mean another number.

    Attributes:
        names: The names.
        loss: What to call instead.
        meaning: Why, as the error says it.
    """

    names: Sequence[str]
    loss: str
    meaning: str


def by_framework() -> Mapping[str, Sequence[Name]]:
    """Return the names of every framework."""
    found: dict[str, list[Name]] = {framework: [] for framework in _FIRST}
    for loss in LOSSES.values():
        for alias in loss.aliases:
            names = found.setdefault(alias.framework, [])
            names.append(Name(alias.name, loss.name, alias.difference))
    return {framework: names for framework, names in found.items() if names}


def common_names(loss: str) -> Sequence[str]:
    """Return what people call a loss and no framework does, as the search compares names."""
    return [name for name, meant in COMMON_NAMES.items() if meant == loss]


def not_offered() -> Sequence[NotOffered]:
    """Return what names mean that no loss has, those of one meaning together."""
    together: dict[str, list[str]] = {}
    for name, meaning in NOT_OFFERED.items():
        together.setdefault(meaning, []).append(name)
    return [NotOffered(names, near(names[0])[0], meaning) for meaning, names in together.items()]


def nearest(name: str) -> Sequence[Name]:
    """Return the losses of which some name is like ``name``, each under that name, as the error suggests them."""
    return [_every_name()[each] for each in near(name)]


@cache
def _every_name() -> Mapping[str, Name]:
    """Return the losses' own names, and then those of frameworks, by name."""
    own = (Name(name, name, "") for name in LOSSES)
    return {each.name: each for each in chain(own, *by_framework().values())}
