"""The catalogue of losses. A new loss is one declaration in a module of its family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lossd.declaration.loss import Loss
from lossd.errors import QUOTED, UnknownLoss
from lossd.losses.boxes import overlaps
from lossd.losses.classification import binary, class_margins, focal, margins, multiclass
from lossd.losses.divergence import kullback_leibler
from lossd.losses.embedding import angles, cosines, pairs, similarities, triplets, views
from lossd.losses.likelihood import counts, normal
from lossd.losses.overlap import dice
from lossd.losses.quantile import pinball
from lossd.losses.ranking import listwise, margin
from lossd.losses.regression import residual, smooth
from lossd.losses.reinforcement import returns
from lossd.losses.sequence import crf, ctc
from lossd.losses.suggestions import explanation, suggestions
from lossd.losses.survival import hazards
from lossd.losses.transport import entropic
from lossd.spelling import hint_of
from lossd.wording import quoted

MODULES = (
    *(residual, smooth, multiclass, binary, margins, class_margins, focal, pinball, counts, normal),
    *(
        kullback_leibler,
        dice,
        overlaps,
        triplets,
        cosines,
        angles,
        pairs,
        similarities,
        views,
        margin,
        listwise,
    ),
    *(ctc, crf, hazards, returns, entropic),
)


def by_name(losses: Iterable[Loss]) -> dict[str, Loss]:
    """Key losses by their own names, and then by their aliases, each as the alias's framework means it.

    Raises:
        ValueError: Two have the same name or alias.
    """
    declared = list(losses)
    named: dict[str, Loss] = {}
    under_aliases = [(alias.name, loss.known_as(alias)) for loss in declared for alias in loss.aliases]
    for name, loss in [*((loss.name, loss) for loss in declared), *under_aliases]:
        if name in named:
            raise ValueError(
                f"{name}: expected one loss of this name or alias, got two: "
                f"{named[name].name} of {named[name].family} and {loss.name} of {loss.family}"
            )
        named[name] = loss
    return named


_DECLARED = dict.fromkeys(  # without a loss that another module imports
    declared for module in MODULES for declared in vars(module).values() if isinstance(declared, Loss)
)
_BY_ANY_NAME = by_name(_DECLARED)
LOSSES: Mapping[str, Loss] = {declared.name: declared for declared in _DECLARED}


def find(name: str) -> Loss:
    """Return the loss with this name; under an alias, as the alias's framework means it.

    Raises:
        UnknownLoss: There is none; the message says what to call instead where one is near.
    """
    found = _BY_ANY_NAME.get(name)
    if found is not None:
        return found
    hint = _hint(name)
    raise UnknownLoss(f"no loss is named {quoted(name, QUOTED)}{hint}", unlike_any=not hint)


def near(name: str) -> Sequence[str]:
    """Return the names that ``name`` may be a misspelling, a part or a framework's form of."""
    return suggestions(name, _BY_ANY_NAME)


def _hint(name: str) -> str:
    """Say what a name that is not offered means, or what it resembles; nothing if neither is known."""
    explained = explanation(name, _BY_ANY_NAME)
    return f": that name {explained}" if explained else hint_of(near(name))


__all__ = ["LOSSES", "MODULES", "find", "near"]
