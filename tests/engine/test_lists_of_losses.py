"""Lists of unequal length: one after the other with ``group``, or padded with a mask of their items.

Each loss of lists is held against separate calls list by list. Sums of lists differ by their rounding alone.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from lossd.declaration.domain import POSITIVE, PROBABILITY, REAL, SIGN, Domain, Whole
from lossd.engine import evaluate
from lossd.engine.evaluate import prepare
from lossd.errors import InvalidCall
from lossd.losses import LOSSES
from lossd.message import Answer, Call

COUNTS = np.array([3, 0, 5, 1, 3, 2, 0])
MODES = ["none", "sum", "mean", "batchmean", "weighted_mean"]
BY_LIST = pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.ragged])
CLOSE = {"rtol": 1e-13, "atol": 1e-14}


def _items(name: str, counts: np.ndarray = COUNTS, seed: int = 0) -> dict[str, np.ndarray]:
    """Draw the items of all lists, one after the other."""
    rng = np.random.default_rng(seed)
    found = {}
    for argument in LOSSES[name].arguments:
        role = argument.role.forms[0]
        drawn = role.domain.sample(rng, (int(counts.sum()),), {})
        found[argument.name] = drawn.astype(float) if role.domain.kind == "real" else drawn
    return found


def _padded(array: np.ndarray, counts: np.ndarray = COUNTS) -> np.ndarray:
    """Return items as rows that are longer than any list, with NaN, or a number out of range, everywhere else."""
    whole = np.full(
        (len(counts), int(counts.max()) + 2), np.nan if array.dtype.kind == "f" else 99, array.dtype
    )
    whole[_mask(counts)] = array
    return whole


def _mask(counts: np.ndarray = COUNTS) -> np.ndarray:
    """Return which places hold items: any, not the first ones alone."""
    rng, width = np.random.default_rng(1), int(counts.max()) + 2
    return np.array([np.isin(np.arange(width), rng.permutation(width)[:count]) for count in counts])


def _one_by_one(name: str, items: dict[str, np.ndarray], counts: np.ndarray = COUNTS) -> list[Answer | None]:
    """Return the answers of a call for each list, None for an empty one."""
    ends = np.cumsum(counts)
    return [
        _ask(name, {key: array[end - count : end] for key, array in items.items()}) if count else None
        for end, count in zip(ends, counts, strict=True)
    ]


def _ask(name: str, arrays: dict[str, np.ndarray], **options: Any) -> Answer:
    asked = {"reduction": MODES, "gradient": list(_real(name)), "hessian": True, **options}
    general = {key: value for key, value in asked.items() if isinstance(value, np.ndarray)}
    plain = {key: value for key, value in asked.items() if key not in general}
    return evaluate(LOSSES[name], Call({**arrays, **general}, plain))


def _real(name: str) -> tuple[str, ...]:
    return tuple(a.name for a in LOSSES[name].arguments if a.differentiable)


def _assert_answers(name: str, answer: Answer, alone: list[Answer | None], items_of: Any) -> None:
    """Hold an answer for all lists against those of each; ``items_of`` brings a derivative into the items' order."""
    values = np.array([float(one.loss["sum"]) if one else 0.0 for one in alone])
    taking = sum(one is not None for one in alone)
    divisors = {"none": 1, "sum": 1, "mean": taking, "batchmean": len(alone), "weighted_mean": taking}
    assert answer.count == taking
    assert answer.denominator == taking
    np.testing.assert_array_equal(answer.loss["none"], values)
    for mode, divisor in divisors.items():
        if mode != "none":
            np.testing.assert_allclose(answer.loss[mode], values.sum() / divisor, **CLOSE)
        for kind in ("gradient", "hessian"):
            for key, found in getattr(answer, kind)[mode].items():
                parts = [getattr(one, kind)["sum"][key] for one in alone if one]
                np.testing.assert_allclose(items_of(found), np.concatenate(parts) / divisor, **CLOSE)


@BY_LIST
def test_a_group_is_as_separate_calls(name):
    items = _items(name)
    _assert_answers(name, _ask(name, items, group=COUNTS), _one_by_one(name, items), lambda found: found)


@BY_LIST
def test_padded_lists_are_as_separate_calls(name):
    items, mask = _items(name), _mask()
    # Items stand in the order of their places, which is theirs in the group.
    padded = {key: _padded(array) for key, array in items.items()}
    answer = _ask(name, padded, mask=mask)
    _assert_answers(name, answer, _one_by_one(name, items), lambda found: found[mask])
    for by_name in answer.gradient.values():
        assert all(not gradient[~mask].any() for gradient in by_name.values())


@BY_LIST
def test_padded_lists_take_any_batch(name):
    counts = np.array([3, 1, 2, 4, 0, 2])
    items, mask = _items(name, counts), _mask(counts)
    padded = {key: _padded(array, counts).reshape(2, 3, -1) for key, array in items.items()}
    answer = _ask(name, padded, mask=mask.reshape(2, 3, -1), reduction=["none", "sum"])
    flat = _ask(name, items, group=counts, reduction=["none", "sum"])
    np.testing.assert_array_equal(answer.loss["none"].reshape(-1), flat.loss["none"])
    for key, gradient in answer.gradient["sum"].items():
        np.testing.assert_array_equal(gradient.reshape(6, -1)[mask], flat.gradient["sum"][key])


@BY_LIST
@pytest.mark.parametrize("form", ["group", "mask"])
def test_a_product_with_the_hessian_is_list_by_list(name, form):
    items = _items(name)
    direction = np.random.default_rng(3).standard_normal(len(items["input"]))
    grouped = _ask(name, items, group=COUNTS, hvp=direction).hvp["mean"]["input"]
    step = 1e-6
    ahead, behind = (
        _ask(name, {**items, "input": items["input"] + sign * step * direction}, group=COUNTS)
        for sign in (1, -1)
    )
    change = (ahead.gradient["mean"]["input"] - behind.gradient["mean"]["input"]) / (2 * step)
    np.testing.assert_allclose(grouped, change, rtol=1e-6, atol=1e-8)
    if form == "mask":
        padded = {key: _padded(array) for key, array in items.items()}
        found = _ask(name, padded, mask=_mask(), hvp=_padded(direction)).hvp["mean"]["input"]
        np.testing.assert_array_equal(found[_mask()], grouped)


@BY_LIST
def test_a_mask_of_lists_leaves_lists_of_a_group_out(name):
    items, kept = _items(name), np.array([True, True, False, True, False, True, True])
    answer = _ask(name, items, group=COUNTS, mask=kept)
    alone = [one if keep else None for one, keep in zip(_one_by_one(name, items), kept, strict=True)]
    of_items = np.repeat(kept, COUNTS)
    _assert_answers(name, answer, alone, lambda found: found[of_items])
    assert not answer.gradient["sum"]["input"][~of_items].any()


@BY_LIST
def test_weights_belong_to_lists(name):
    items, weight = _items(name), np.arange(7.0) / 4
    answer = _ask(name, items, group=COUNTS, sample_weight=weight)
    plain = _ask(name, items, group=COUNTS)
    np.testing.assert_allclose(answer.loss["none"], plain.loss["none"] * weight, **CLOSE)
    expected = plain.gradient["sum"]["input"] * np.repeat(weight, COUNTS)
    np.testing.assert_allclose(answer.gradient["sum"]["input"], expected, **CLOSE)
    taking = weight[COUNTS > 0].sum()
    np.testing.assert_allclose(answer.loss["weighted_mean"], plain.loss["none"] @ weight / taking, **CLOSE)


@BY_LIST
@pytest.mark.parametrize("empty", ["group", "mask", "no items"])
def test_lists_without_items_are_nothing_to_average(name, empty):
    items = _items(name, np.zeros(3, int))
    call: dict[str, Any] = {"group": np.zeros(3, int)}
    if empty == "mask":
        call = {"mask": np.zeros((3, 2), bool)}
    elif empty == "no items":
        call = {}
    if empty != "group":
        width = 2 if empty == "mask" else 0
        items = {key: np.zeros((3, width), array.dtype) for key, array in items.items()}
    with pytest.raises(InvalidCall) as refused:
        _ask(name, items, reduction="mean", **call)
    assert refused.value.errors[0].at == "reduction"
    for _ in range(2):  # the second is of known shapes
        answer = _ask(name, items, empty="zero", **call)
        assert answer.count == 0
        assert answer.loss["mean"] == 0
        np.testing.assert_array_equal(answer.loss["none"], np.zeros(3))
        assert answer.gradient["mean"]["input"].shape == items["input"].shape


@BY_LIST
@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"group": np.array([3, -1, 12])}, "group[1]"),
        ({"group": np.array([3.0, 11.0])}, "group"),
        ({"group": np.array([3, 12])}, "input"),
        ({"group": COUNTS, "mask": np.ones((7, 5), bool)}, "mask"),
    ],
    ids=["negative", "no whole number", "other sum", "mask of items"],
)
def test_a_group_that_does_not_fit_is_refused(name, changes, at):
    with pytest.raises(InvalidCall) as refused:
        _ask(name, _items(name), **changes)
    assert refused.value.errors[0].at == at


def _forbidden(domain: Domain) -> float | None:
    """Return a number that a domain forbids, if there is one."""
    tried = (-1.0, 2.0, -1e9, 1e9)
    return next((x for x in tried if domain.forbidden(np.array([x]), {}) is not None), None)


@pytest.mark.parametrize(
    ("domain", "number"),
    [
        (REAL, None),
        (POSITIVE, -1),
        (PROBABILITY, -1),
        (SIGN, 2),
        (Whole(), None),
        (Whole(low=-5, high=5), -1e9),
    ],
)
def test_a_number_out_of_a_domain_is_found_where_there_is_one(domain, number):
    assert _forbidden(domain) == number


@BY_LIST
def test_an_error_names_the_item_in_the_callers_array(name):
    items = _items(name)
    numbers = {a.name: _forbidden(a.role.forms[0].domain) for a in LOSSES[name].arguments if a.name in items}
    outside = {argument: number for argument, number in numbers.items() if number is not None}
    if not outside:
        pytest.skip("every number is allowed in all of its arguments")
    mask = _mask()
    row, place = np.argwhere(mask)[6]
    for argument, number in outside.items():
        wrong = {**items, argument: items[argument].copy()}
        wrong[argument][6] = number
        with pytest.raises(InvalidCall) as refused:
            _ask(name, wrong, group=COUNTS)
        assert refused.value.errors[0].at == f"{argument}[6]"
        padded = {key: _padded(array) for key, array in items.items()}
        padded[argument][row, place] = number
        with pytest.raises(InvalidCall) as refused:
            _ask(name, padded, mask=mask)
        assert refused.value.errors[0].at == f"{argument}[{row}][{place}]"


def _workspace(name: str, counts: np.ndarray) -> int:
    call = Call({**_items(name, counts), "group": counts}, {"gradient": True})
    return prepare(LOSSES[name], call).estimate.workspace


@BY_LIST
def test_one_long_list_among_many_short_ones_costs_what_it_takes(name):
    """Lists are not padded to the longest: it needs what it needs alone, and the others do not need as much."""
    counts = np.append(np.full(5000, 3), 1000)
    items = _items(name, counts)
    call = Call({**items, "group": counts}, {"gradient": True})
    longest, short = (_workspace(name, part) for part in (counts[-1:], counts[:-1]))
    assert prepare(LOSSES[name], call).estimate.workspace <= longest + short
    begun = time.perf_counter()
    answer = evaluate(LOSSES[name], call)
    assert time.perf_counter() - begun < 5
    few = np.append(np.arange(9), np.arange(15000, 16000))
    part = evaluate(
        LOSSES[name],
        Call(
            {**{key: array[few] for key, array in items.items()}, "group": np.array([3, 3, 3, 1000])},
            {"gradient": True},
        ),
    )
    np.testing.assert_allclose(
        answer.gradient["mean"]["input"][few] * 5001,
        part.gradient["mean"]["input"] * 4,
        rtol=1e-12,
        atol=1e-14,
    )


@BY_LIST
@pytest.mark.parametrize("threads", [1, 3])
def test_threads_and_the_size_of_blocks_change_no_list(name, threads):
    counts = np.random.default_rng(2).integers(0, 6, 200)
    items = _items(name, counts)
    call = Call({**items, "group": counts}, {"reduction": "none", "gradient": True})
    whole = evaluate(LOSSES[name], call)
    cut = evaluate(LOSSES[name], call, threads=threads, block_bytes=512)
    np.testing.assert_array_equal(cut.loss["none"], whole.loss["none"])
    np.testing.assert_array_equal(cut.gradient["none"]["input"], whole.gradient["none"]["input"])


@BY_LIST
@pytest.mark.parametrize("batch", [(1,), (1, 1), (3, 1), (1, 3), (3, 1, 1)])
@pytest.mark.parametrize("width", [0, 1, 4])
def test_batch_axes_of_length_1_are_axes(name, batch, width):
    """A list is told apart by the number of batch axes, not by lengths, which axes of length 1 have in common."""
    count = int(np.prod(batch))
    items = {key: array.reshape(count, width) for key, array in _items(name, np.full(count, width)).items()}
    mask = np.arange(width) < np.arange(count, 0, -1)[:, None]
    shaped = {key: array.reshape(*batch, width) for key, array in items.items()}
    found = _ask(name, shaped, mask=mask.reshape(*batch, width), reduction=["none", "sum"])
    expected = _ask(name, items, mask=mask, reduction=["none", "sum"])
    for row in range(count):
        alone = {key: array[row][mask[row]] for key, array in items.items()}
        if mask[row].any():
            np.testing.assert_allclose(
                expected.loss["none"][row], _ask(name, alone).loss["sum"], rtol=1e-12, atol=1e-12
            )
    np.testing.assert_array_equal(found.loss["none"], expected.loss["none"].reshape(batch))
    for key, gradient in found.gradient["sum"].items():
        np.testing.assert_array_equal(gradient.reshape(count, width), expected.gradient["sum"][key])
