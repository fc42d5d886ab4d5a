"""Gives each case its truth: row by row, in exact arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.message import Call
from tests.oracle import (
    formulas,
    formulas_of_labels,
    formulas_of_likelihoods,
    formulas_of_paths,
    formulas_of_sets,
    formulas_of_structure,
    formulas_of_vectors,
)
from tests.oracle.cases import Case, draw_cases, entry
from tests.oracle.exact import numbers, summed, worst

ORACLES = {
    name: function
    for module in (
        *(formulas, formulas_of_labels, formulas_of_likelihoods, formulas_of_paths, formulas_of_sets),
        *(formulas_of_vectors, formulas_of_structure),
    )
    for name, function in vars(module).items()
    if name in LOSSES
}
# The quicker functions of what needs no addends.
ALONE = {"ctc": formulas_of_paths.ctc_alone}
WHOLE_BATCH = {name for name, loss in LOSSES.items() if loss.whole_batch}
# Loss to the arguments that all rows share.
SHARED = {
    name: {a.name for a in loss.arguments if a.role.forms[0].shared}
    for name, loss in LOSSES.items()
    if not loss.whole_batch
}
FRAMES = {  # (T, N, C): the rows are not in front
    a.name for loss in LOSSES.values() for a in loss.arguments if a.role.forms[0].pattern.before
}

# Units in the last place of the result, or of the addends that cancel in it; the same for both types.
BOUNDS = {
    "mse": 4, "l1": 2, "huber": 4, "smooth_l1": 4, "pseudo_huber": 4, "multi_quantile": 2, "dice": 6, "bce": 4,
    "ranking_softmax": 6, "rank_ndcg": 8, "cox": 8, "td_lambda": 8, "crf": 12, "sinkhorn": 1000,
    "nll": 2, "bce_with_logits": 4, "cross_entropy": 6, "triplet_margin": 8, "nt_xent": 8, "ctc": 8,
    "log_cosh": 4, "cauchy": 8, "fair": 8, "poisson_nll": 4, "gaussian_nll": 6, "kl_div": 4, "soft_margin": 4,
    "hinge": 2, "squared_hinge": 4, "hinge_embedding": 2, "margin_ranking": 4, "sigmoid_focal": 8,
    "multi_margin": 4, "multilabel_margin": 4, "multilabel_soft_margin": 4, "cosine_embedding": 8,
    "triplet_margin_with_distance": 8, "giou": 24, "arcface": 8, "supcon": 10, "barlow_twins": 32,
}  # fmt: skip

# Arguments whose differences, one or those of every step, are exponents.
_EXPONENTS = {
    "rank_ndcg": ("input",),
    "cox": ("log_h",),
    "crf": ("emissions", "transitions", "start_transitions", "end_transitions"),
}


def bound(name: str, case: Case) -> float:
    """Return the error allowed, in ulps: half an ulp in an exponent is as many as half the exponent."""
    allowed = float(entry(BOUNDS, name, "BOUNDS in tests/oracle/truth.py: the ulps that it may be off"))
    if name == "nt_xent":
        return allowed * (1 + 0.5 / case.settings.get("temperature", 0.07))
    if name in ("cosine_embedding", "triplet_margin_with_distance") and case.name.startswith("close"):
        return allowed * 4  # the angle has less digits than the vectors
    if name == "supcon":
        return allowed * (1 + 0.5 / case.settings.get("temperature", 0.1))
    if name == "arcface":
        return allowed * (1 + case.settings.get("scale", 64.0))
    if name == "triplet_margin":  # a power multiplies its base's rounding
        return allowed + case.settings.get("p", 2.0)
    if name == "sigmoid_focal":  # a power multiplies its base's logarithm
        finite = np.abs(case.arrays["input"][np.isfinite(case.arrays["input"])])
        return allowed + case.settings.get("gamma", 2.0) * min(max(finite.max(initial=0), 40.0), 750.0)
    if name == "ctc":  # every frame rounds once
        return allowed + case.arrays.get("log_probs", case.arrays.get("logits")).shape[1]
    if (
        name == "sinkhorn"
    ):  # slopes through the iterations are sums of either sign, whose sizes the oracle does not say
        return allowed + 2 * float(np.abs(case.arrays["cost"]).max(initial=0)) / case.settings.get(
            "epsilon", 0.1
        )
    if name in _EXPONENTS:
        sizes = [np.abs(case.arrays[key]) for key in _EXPONENTS[name] if key in case.arrays]
        exponent = sum(float(size[np.isfinite(size)].max(initial=0)) for size in sizes)
        many = case.arrays["tags"].shape[1] if name == "crf" else 2
        return allowed + min(exponent * many, 800)
    if name == "cross_entropy":  # beyond the range of the exponential, differences of logits are rounded
        finite = np.abs(case.arrays["input"][np.isfinite(case.arrays["input"])])
        return allowed + 0.5 * float(min(finite.max(initial=0), 800)) * bool(finite.max(initial=0) > 40)
    return allowed


def oracle_of(name: str, alone: bool = False) -> Callable[..., Any]:
    """Return the function that knows a loss in exact arithmetic; with ``alone`` it need not know what may cancel."""
    place = f"tests/oracle/formulas.py, or formulas_of_sets.py: a function {name}"
    oracle: Callable[..., Any] = entry(ORACLES, name, f"{place} that returns its Truth in exact arithmetic")
    return ALONE.get(name, oracle) if alone else oracle


def split_rows(name: str, exact: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the oracle takes at once: the arguments of every row, or those of all rows together."""
    if name in WHOLE_BATCH:
        return [dict(exact)]
    shared = shared_in(name, exact)
    count = next(len(array) for key, array in exact.items() if key not in shared)
    return [{key: a if key in shared else a[i] for key, a in exact.items()} for i in range(count)]


def oracle_rows(name: str, exact: Mapping[str, Any], settings: Any) -> list[formulas.Truth]:
    """Return what the oracle says of every row."""
    oracle = oracle_of(name)
    found = [oracle(**row, **settings) for row in split_rows(name, exact)]
    return found[0] if name in WHOLE_BATCH else found


def shared_in(name: str, arrays: Mapping[str, Any]) -> set[str]:
    """Return which arguments of a call all rows share; some may be given so, or one for each row."""
    found = set()
    for argument in LOSSES[name].arguments:
        shared = [form for form in argument.role.forms if form.shared]
        if shared and argument.name in arrays:
            array = arrays[argument.name]
            axes = array.ndim if isinstance(array, np.ndarray) else _depth(array)
            if axes == len(shared[0].pattern.core):
                found.add(argument.name)
    return found


def _depth(nested: Any) -> int:
    return 1 + (_depth(nested[0]) if nested else 0) if isinstance(nested, list) else 0


def truth(name: str, case: Case) -> tuple[list[Any], dict[str, Any]]:
    """Return the exact value of every row, and the exact gradient of their sum by argument and setting."""
    exact = {key: numbers(array) for key, array in case.arrays.items()}
    rows = oracle_rows(name, exact, case.settings)
    by_row = set(exact) - shared_in(name, exact) if name not in WHOLE_BATCH else set()
    gradient = {}
    for key in rows[0].gradient:
        parts = [row.gradient[key] for row in rows]
        if key in LOSSES[name].differentiable_settings or (
            key in exact and case.arrays[key].dtype.kind == "f"
        ):
            gradient[key] = parts if key in by_row else summed(parts)
    return [row.value for row in rows], gradient


@cache
def known_cases(name: str, dtype: type) -> list[tuple[Case, list[Any], dict[str, Any]]]:
    """Return every case of a loss with its truth."""
    return [(case, *truth(name, case)) for case in draw_cases(name, dtype)]


def call_of(case: Case, **options: Any) -> Call:
    """Return the call of a case, frames with time in front, as the loss has them."""
    arrays = {key: np.moveaxis(a, 0, 1) if key in FRAMES else a for key, a in case.arrays.items()}
    asked = {key: value for key, value in options.items() if not isinstance(value, np.ndarray)}
    general = {key: value for key, value in options.items() if isinstance(value, np.ndarray)}
    return Call({**arrays, **general}, {**case.settings, **asked})


def ask(name: str, case: Case, **options: Any) -> tuple[Any, dict[str, Any]]:
    """Evaluate a case; frames go in, and their gradients come out, with time in front as the loss has it."""
    answer = evaluate(LOSSES[name], call_of(case, **options))
    ((reduction, value),) = answer.loss.items()
    if reduction == "none":  # also of a batch that has one loss together
        value = np.atleast_1d(value)
    gradient = answer.gradient.get(reduction, {})
    return value, {key: np.moveaxis(g, 1, 0) if key in FRAMES else g for key, g in gradient.items()}


def assert_exact(
    name: str, case: Case, got: Any, by: dict[str, Any], values: Any, gradients: Any, *, added: int = 1
) -> None:
    """Hold a value, of ``added`` equal rows, and its gradients against the truth."""
    dtype = next(a.dtype for a in case.arrays.values() if a.dtype.kind == "f")
    for what, array, exact in [("value", got, values), *((key, by[key], gradients[key]) for key in by)]:
        assert array.dtype == dtype
        error, place, shown = worst(array, exact)
        allowed = bound(name, case) + (added / 2 if what == "value" and added > 1 else 0)
        assert error <= allowed, f"{name}, {case.name}, {what}: {shown}{row_of(name, case, array, place)}"


def row_of(name: str, case: Case, found: Any, place: tuple[int, ...]) -> str:
    """Show the inputs of the row that a place of an answer belongs to; nothing where it belongs to all."""
    by_row = {key: array for key, array in case.arrays.items() if key not in shared_in(name, case.arrays)}
    rows = {len(array) for array in by_row.values()}
    if not place or name in WHOLE_BATCH or rows != {len(found)}:
        return ""
    shown = ", ".join(f"{key}[{place[0]}] = {array[place[0]]!r}" for key, array in by_row.items())
    return f"; {shown}; {dict(case.settings) or 'defaults'}"
