"""What NaN and infinity in one place of a call must come to, by exact arithmetic alone.

A result that depends on a number is NaN where that number is, and any other is as if it were not there. At infinity
a result is its limit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.declaration.domain import Interval
from lossd.losses import LOSSES
from tests.oracle.cases import Case
from tests.oracle.condition import Exact, Results, exact_inputs
from tests.oracle.exact import MP

# Where the NaN of IEEE is as good as a limit: quotients of infinite numbers, and samples without an alignment; or
# where a logarithm outgrows too slowly what it is compared with.
_QUOTIENTS = frozenset(
    [
        *(
            "nt_xent",
            "supcon",
            "arcface",
            "cosine_embedding",
            "triplet_margin",
            "triplet_margin_with_distance",
        ),
        *("barlow_twins", "dice", "giou", "ctc", "crf", "sinkhorn", "kl_div"),
    ]
)
# Losses to which a number may matter or not: one that is in no pair, in an inactive triplet, or beside certain logits,
# or the length of a vector whose direction is all that counts, or what has so small a factor that it vanishes.
_EXTENDED = frozenset(
    [
        *(
            "nt_xent",
            "supcon",
            "arcface",
            "cosine_embedding",
            "triplet_margin",
            "triplet_margin_with_distance",
        ),
        *("barlow_twins", "giou", "ctc", "cross_entropy", "multilabel_margin", "sigmoid_focal"),
        *("crf", "ranking_softmax", "rank_ndcg", "cox"),
    ]
)
_FAR = MP.mpf(10) ** 500
_ANY = object()


def spoil(name: str, case: Case, rng: np.random.Generator) -> tuple[Case, str, tuple[int, ...]] | None:
    """Put NaN or an infinity in one place of one argument, if any may hold it."""
    arguments = {a.name: a.role for a in LOSSES[name].arguments}
    open_to = [
        key
        for key, array in case.arrays.items()
        # A weight that is no number, times nothing, is nothing by the limit and NaN by IEEE.
        if array.dtype.kind == "f" and array.size and _may(arguments[key]) and not _orders(key)
    ]
    if not open_to:
        return None
    key = open_to[rng.integers(len(open_to))]
    array = case.arrays[key].copy()
    place = tuple(int(rng.integers(size)) for size in array.shape)
    if array.shape[-1] == 1 and arguments[key].pattern.letters[-1:] in (("C",), ("L",)):
        return None  # of one class the loss is 0 whatever its logit, but NaN for NaN
    only_nan = case.settings.get("zero_infinity") or LOSSES[name].constraints  # which infinity may break
    array[place] = np.nan if only_nan else rng.choice([np.nan, np.inf, -np.inf])
    return case._replace(arrays={**case.arrays, key: array}), key, place


def expected(name: str, exact: Exact, case: Case, key: str, place: tuple[int, ...]) -> Results:
    """Return what every result must be: a number, NaN, or `ANY`."""
    at = case.arrays[key][place]
    arrays, settings = exact_inputs(
        case._replace(arrays={**case.arrays, key: _with(case.arrays[key], place, 0)})
    )

    def results(value: Any) -> Results:
        moved = arrays[key].copy()
        moved[place] = MP.mpf(value)
        return exact({**arrays, key: moved}, settings)

    if np.isnan(at):
        others = [x for array in arrays.values() for x in array.reshape(-1) if isinstance(x, MP.mpf)]
        found = [results(value) for value in (0, 1, -1, 3, 1e5, -1e5, _FAR, -_FAR, *others)]
        alone = _ANY if name in _EXTENDED else None
        truth = _each(found, lambda values: (alone or values[0]) if len(set(values)) == 1 else MP.nan)
    elif name in _QUOTIENTS:
        truth = _each([results(0)], lambda values: _ANY)
    else:
        sign = 1 if at > 0 else -1
        near, far = results(sign * _FAR), results(sign * _FAR**2)
        truth = _each([near, far], lambda values: _limit(*values))
    return truth


def is_any(value: Any) -> bool:
    """Return whether a result may be anything."""
    return value is _ANY


def _limit(near: Any, far: Any) -> Any:
    if abs(near) > MP.mpf(10) ** 400:
        return MP.inf * MP.sign(far) if MP.sign(far) == MP.sign(near) else _ANY
    change, small = abs(near - far), MP.mpf(10) ** -300
    return far if change <= small * abs(far) or (change <= small and abs(far) <= abs(near)) else _ANY


def _each(found: list[Results], of: Any) -> Results:
    return {key: [of(values) for values in zip(*(r[key] for r in found), strict=True)] for key in found[0]}


def _orders(key: str) -> bool:
    """Return whether an argument only weighs or orders samples: NaN has no place in an order."""
    return "weight" in key or key == "durations"


def _may(role: Any) -> bool:
    return isinstance(role.domain, Interval) and role.domain.unbounded


def _with(array: np.ndarray, place: tuple[int, ...], value: float) -> np.ndarray:
    array = array.copy()
    array[place] = value
    return array
