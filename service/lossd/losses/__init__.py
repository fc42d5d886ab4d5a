"""The catalogue of losses. A new loss is one declaration in a module of its family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lossd.declaration.alias import NOT_OFFERED
from lossd.declaration.loss import Loss
from lossd.errors import UnknownLoss
from lossd.losses.boxes import overlaps
from lossd.losses.classification import binary, class_margins, focal, margins, multiclass
from lossd.losses.divergence import kullback_leibler
from lossd.losses.embedding import cosines, pairs, similarities, triplets, views
from lossd.losses.likelihood import counts, normal
from lossd.losses.overlap import dice
from lossd.losses.quantile import pinball
from lossd.losses.ranking import listwise, margin
from lossd.losses.regression import residual, smooth
from lossd.losses.reinforcement import returns
from lossd.losses.sequence import crf, ctc
from lossd.losses.survival import hazards
from lossd.losses.transport import entropic
from lossd.spelling import did_you_mean, names_near

MODULES = (
    *(residual, smooth, multiclass, binary, margins, class_margins, focal, pinball, counts, normal),
    *(kullback_leibler, dice, overlaps, triplets, cosines, pairs, similarities, views, margin, listwise),
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
_SUGGESTIONS = 3


def find(name: str) -> Loss:
    """Return the loss with this name; under an alias, as the alias's framework means it.

    Raises:
        UnknownLoss: There is none; the message says what to call instead, or where the list is.
    """
    found = _BY_ANY_NAME.get(name)
    if found is not None:
        return found
    if name in NOT_OFFERED:
        raise UnknownLoss(f"no loss is named {name!r}: that name {NOT_OFFERED[name]}")
    hint = did_you_mean(name, _one_of_each(names_near(name, _BY_ANY_NAME)))
    raise UnknownLoss(f"no loss is named {name[:100]!r}{hint or ';'} GET /v1/losses lists them")


def _one_of_each(names: Iterable[str]) -> list[str]:
    """Keep one name of each loss: its own, which stands before its aliases."""
    by_loss: dict[str, str] = {}
    for name in names:
        by_loss.setdefault(_BY_ANY_NAME[name].name, name)
    return list(by_loss.values())[:_SUGGESTIONS]


__all__ = ["LOSSES", "MODULES", "find"]
