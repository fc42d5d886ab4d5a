"""Calls in parts come to the bits of one call, wherever blocks allow a cut."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lossd.declaration.cost import Cost
from lossd.declaration.loss import Loss
from lossd.declaration.samples import CallForm, forms, sample_call
from lossd.engine import evaluate
from lossd.engine.combine import combine
from lossd.engine.cuts import rows_per_block
from lossd.engine.limits import CostLimits
from lossd.engine.parts import compute_part, evaluate_part, prepare_part
from lossd.errors import InvalidCall
from lossd.losses import LOSSES, find
from lossd.message import Array, Call, Combined, Part
from tests.losses.cases import Case, assert_same_bits, batch_axis, take_rows

BLOCK_BYTES = 256
GENERAL = ("mask", "sample_weight")
FORMS = [(loss, form) for loss in LOSSES.values() if not loss.whole_batch for form in forms(loss)]
RECURSIONS = [(loss, form) for loss, form in FORMS if loss.cost.steps != Cost().steps]
BATCHES = [(137,), (41, 4), (5, 70)]
every_form = pytest.mark.parametrize(("loss", "form"), FORMS, ids=lambda each: each.name)


def case_of(
    loss: Loss, form: CallForm, batch: tuple[int, ...], dtype: Any = np.float64, **options: Any
) -> Case:
    call = sample_call(
        loss, np.random.default_rng(7), form=form, batch=batch, dtype=dtype, draw_settings=True
    )
    return Case(loss, form, Call(call.arrays, {**call.options, **options}), batch, drawn=True)


def altered(case: Case, arrays: dict[str, Array], **options: Any) -> Case:
    call = Call({**case.call.arrays, **arrays}, {**case.call.options, **options})
    return Case(case.loss, case.form, call, case.batch, drawn=True)


def borders(case: Case, rng: np.random.Generator) -> list[int]:
    """Return where to cut the first axis of the batch: at blocks, at least once where there are two."""
    step = rows_per_block(case.loss, case.call, BLOCK_BYTES)
    last = case.batch[0]
    cuts = {int(cut) * step for cut in rng.integers(1, max((last - 1) // step, 1) + 1, 3)}
    return [0, *sorted(cut for cut in cuts if cut < last), last]


def _parts(case: Case, seed: int = 0, *, selected: bool = False) -> list[Part]:
    """Evaluate a case in parts of unequal length."""
    parts = []
    for first, last in itertools.pairwise(borders(case, np.random.default_rng(seed))):
        rows = take_rows(case, np.arange(first, last))
        general = {name: case.call.arrays[name][first:last] for name in GENERAL if name in case.call.arrays}
        call = Call({**rows.arrays, **general}, rows.options)
        parts.append(evaluate_part(case.loss, call, first=first, selected=selected, block_bytes=BLOCK_BYTES))
    return parts


def _combined(parts: list[Part], seed: int = 0) -> Combined:
    return combine([parts[place] for place in np.random.default_rng(seed).permutation(len(parts))])


def _check(case: Case, *, selected: bool = False) -> None:
    """Values, denominators, and with these all derivatives, have the bits of one call."""
    plain = altered(case, {}, reduction=["mean", "weighted_mean", "batchmean", "sum"])
    whole = evaluate(case.loss, plain.call, block_bytes=BLOCK_BYTES)
    found = _combined(_parts(plain, selected=selected))
    assert {name: float(value) for name, value in found.loss.items()} == {
        name: float(value) for name, value in whole.loss.items()
    }
    assert found.count == whole.count
    assert found.denominators["mean"] == whole.denominator
    assert {value.dtype for value in found.loss.values()} == {value.dtype for value in whole.loss.values()}

    divided = altered(
        case,
        {},
        reduction=["mean", "none"],
        gradient=case.differentiable,
        denominator=found.denominators["mean"],
    )
    whole = evaluate(case.loss, divided.call, block_bytes=BLOCK_BYTES)
    parts = _parts(divided, selected=selected)
    for part in parts:
        assert {branches.sums.dtype.char for branches in part.shared.values()} <= {*"dD"}
    found = _combined(parts)
    assert float(found.loss["mean"]) == float(whole.loss["mean"])
    joined = np.concatenate([part.values for part in parts])
    np.testing.assert_array_equal(joined, whole.loss["none"], strict=True)
    for name in case.differentiable:
        expected = whole.gradient["mean"][name]
        axis = batch_axis(case, name) if name in case.form.roles else None
        key = ("gradient", "mean", name)
        actual = (
            found.shared[key]
            if axis is None
            else np.concatenate([part.derivatives[key] for part in parts], axis=axis)
        )
        np.testing.assert_array_equal(actual, expected, strict=True, err_msg=name)


@every_form
@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_parts_come_to_the_bits_of_one_call(loss: Loss, form: CallForm, batch: tuple[int, ...]) -> None:
    try:
        case = case_of(loss, form, batch)
        evaluate(loss, case.call)
    except InvalidCall:
        batch = (batch[0],)  # a loss of one batch axis
        case = case_of(loss, form, batch)
    _check(case)


@every_form
def test_parts_in_single_precision(loss: Loss, form: CallForm) -> None:
    _check(case_of(loss, form, (137,), np.float32))


@every_form
def test_parts_of_masked_and_weighted_rows(loss: Loss, form: CallForm) -> None:
    case, rng = case_of(loss, form, (137,)), np.random.default_rng(3)
    mask = rng.random(case.values) < 0.6
    mask[:9] = False  # whole blocks without a row
    weight = rng.uniform(0.5, 2, case.values)
    _check(altered(case, {"mask": mask, "sample_weight": weight}), selected=True)


@pytest.mark.parametrize("name", [loss.name for loss in LOSSES.values() if loss.ignored])
def test_parts_of_which_some_have_ignored_rows(name: str) -> None:
    loss = find(name)
    argument, setting = loss.ignored
    case = case_of(loss, forms(loss)[0], (137,))
    target = case.call.arrays[argument].copy()
    target[20:33] = case.call.options.get(setting, loss.settings[setting][1])
    _check(altered(case, {argument: target}), selected=True)


def test_most_losses_are_cut_more_than_once() -> None:
    cuts = [len(borders(case_of(loss, form, (137,)), np.random.default_rng(0))) for loss, form in FORMS]
    uncut = {loss.name for (loss, _), count in zip(FORMS, cuts, strict=True) if count == 2}
    assert uncut <= {loss.name for loss, _ in RECURSIONS}  # which take many rows at a time


@pytest.mark.parametrize(("loss", "form"), RECURSIONS, ids=lambda each: each.name)
def test_parts_of_recursions_of_more_rows_than_a_block_has(loss: Loss, form: CallForm) -> None:
    rows = rows_per_block(loss, case_of(loss, form, (2,)).call, BLOCK_BYTES)
    _check(case_of(loss, form, (2 * rows + 5,)))


def test_parts_in_which_nothing_takes_part_add_zeros_of_the_right_shape() -> None:
    huber, nothing = find("huber"), {"input": np.ones(4), "target": np.zeros(4), "mask": np.zeros(4, bool)}
    found = combine([evaluate_part(huber, Call(nothing, {"reduction": "sum", "gradient": "delta"}))])
    assert found.loss == {"sum": 0.0}
    assert found.shared["gradient", "sum", "delta"] == 0
    empty = {"input": np.ones((0, 3)), "target": np.zeros(0, int), "weight": np.ones(3)}
    asked = {"reduction": "sum", "gradient": "weight"}
    part = evaluate_part(find("cross_entropy"), Call(empty, asked))
    for parts in ([part], [part, part]):
        np.testing.assert_array_equal(combine(parts).shared["gradient", "sum", "weight"], np.zeros(3))


def test_a_loss_of_all_pixels_has_no_parts() -> None:
    call = Call({"input": np.ones(8) / 2, "target": np.ones(8)}, {})
    with pytest.raises(InvalidCall, match="rows stand alone"):
        evaluate_part(find("dice"), call)


def test_parts_that_overlap_or_begin_inside_a_block_are_refused() -> None:
    call = Call({"input": np.ones(100), "target": np.zeros(100)}, {})
    part = evaluate_part(find("mse"), call)
    with pytest.raises(
        InvalidCall, match=r"expected 100, where parts\[0\] ends, got 0 - at `parts\[1\]\.first`"
    ):
        combine([part, part])
    with pytest.raises(InvalidCall, match="a multiple of 131072"):
        evaluate_part(find("mse"), call, first=1)


def test_a_branch_overlaps_what_is_below_it_and_above_it() -> None:
    rows, step = 1000, BLOCK_BYTES // 8
    call = Call({"input": np.ones(rows), "target": np.zeros(rows)}, {})
    whole, second = (
        evaluate_part(
            find("mse"),
            Call({name: array[first:] for name, array in call.arrays.items()}, {}),
            first=first,
            block_bytes=BLOCK_BYTES,
        )
        for first in (0, step)
    )
    second = replace(second, first=rows)  # which claims rows that it does not have
    for parts in ([whole, second], [second, whole]):
        with pytest.raises(InvalidCall, match="some rows twice"):
            combine(parts)


def test_parts_with_and_without_a_fused_kernel_are_not_put_together() -> None:
    """Their blocks are of other sizes; the caller forgot to say that some rows of the whole take no part."""
    arrays = {"input": np.ones((64, 2)), "target": np.where(np.arange(64) == 40, -100, 1)}
    halves = [{name: array[cut] for name, array in arrays.items()} for cut in (slice(32), slice(32, 64))]
    parts = [
        evaluate_part(find("cross_entropy"), Call(half, {}), first=first, block_bytes=BLOCK_BYTES)
        for first, half in zip((0, 32), halves, strict=True)
    ]
    with pytest.raises(
        InvalidCall, match=r"\"selected\": true in its `partial`, got others - at `parts\[1\]\.fused`"
    ):
        combine(parts)


@every_form
@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_one_row_says_where_all_may_be_cut(loss: Loss, form: CallForm, batch: tuple[int, ...]) -> None:
    try:
        case = case_of(loss, form, batch, reduction="sum")
        evaluate(loss, case.call)
    except InvalidCall:
        case = case_of(loss, form, (batch[0],), reduction="sum")
    one = take_rows(case, np.arange(1))
    said = evaluate_part(loss, one, block_bytes=BLOCK_BYTES).rows_per_block
    assert said == rows_per_block(loss, case.call, BLOCK_BYTES)


@every_form
def test_the_only_part_has_the_answer_of_one_call(loss: Loss, form: CallForm) -> None:
    case = case_of(loss, form, (41,), reduction=["none", "sum"])
    asked = altered(case, {}, gradient=case.differentiable)
    part = altered(asked, {}, partial={"first": 0})
    answer = compute_part(prepare_part(loss, part.call))
    assert_same_bits(answer, evaluate(loss, asked.call))
    assert answer.part is not None


def test_a_sum_in_parts_reports_what_a_mean_would_divide_by() -> None:
    call = sample_call(find("cross_entropy"), np.random.default_rng(0), batch=(40,))
    whole = evaluate(find("cross_entropy"), Call(call.arrays, {"reduction": "sum"}))
    found = combine([evaluate_part(find("cross_entropy"), Call(call.arrays, {"reduction": "sum"}))])
    assert found.denominator == whole.denominator


def test_a_part_that_shares_much_with_others_costs_its_branches() -> None:
    shared = {"input": np.ones((64, 50)), "target": np.zeros(64, int), "weight": np.ones(50)}
    asked = Call(shared, {"reduction": "sum", "gradient": "weight", "partial": {"first": 0}})
    cost = prepare_part(find("cross_entropy"), asked, block_bytes=BLOCK_BYTES).estimate
    assert cost.answer >= 2 * 6 * 50 * 8  # 64 blocks: two branches on each of up to six levels
    with pytest.raises(InvalidCall, match="too expensive"):
        prepare_part(
            find("cross_entropy"), asked, limits=CostLimits(10**9, 10**9, 4000), block_bytes=BLOCK_BYTES
        )


def test_a_part_in_which_nothing_takes_part_leaves_a_mean_to_the_others() -> None:
    arrays = {"input": np.arange(512.0), "target": np.zeros(512), "mask": np.arange(512) >= 256}
    whole = evaluate(find("mse"), Call(arrays, {}), block_bytes=BLOCK_BYTES)
    halves = [{name: array[cut] for name, array in arrays.items()} for cut in (slice(256), slice(256, 512))]
    parts = [
        evaluate_part(find("mse"), Call(half, {}), first=first, selected=True, block_bytes=BLOCK_BYTES)
        for first, half in zip((0, 256), halves, strict=True)
    ]
    assert combine(parts).loss == whole.loss
    with pytest.raises(InvalidCall, match="something to average"):
        combine(parts[:1])
