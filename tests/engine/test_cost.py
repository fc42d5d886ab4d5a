"""What a call costs is known before anything is computed, and a call that costs too much is refused."""

from __future__ import annotations

import tracemalloc
from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest

from lossd.declaration.samples import SIZES, sample_call
from lossd.engine import CostLimits, evaluate, prepare
from lossd.engine.cost import Estimate, elements
from lossd.errors import InvalidCall
from lossd.losses import LOSSES, find
from lossd.message import Call

every_loss = pytest.mark.parametrize("name", LOSSES)


def estimate_of(name: str, rows: int, **options: Any) -> Estimate:
    call = sample_call(LOSSES[name], np.random.default_rng(0), batch=(rows,))
    return prepare(LOSSES[name], Call(call.arrays, {**call.options, **options})).estimate


def vast(name: str, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Return arrays of these shapes that hold one number, and take no memory."""
    kinds = {a.name: a.role.forms[0].domain.kind for a in LOSSES[name].arguments}
    return {
        key: np.broadcast_to(np.ones((), np.int64 if kinds[key] == "whole" else np.float64), shape)
        for key, shape in shapes.items()
    }


def test_elements_are_those_of_patterns_that_are_added():
    assert elements("(N, N)", {"N": 5}) == 25
    assert elements("(6, N, D) + (T)", {"N": 5, "D": 2, "T": 3}) == 63
    assert elements("(1)", {}) == 1


@every_loss
def test_more_rows_and_more_results_cost_more(name):
    few, many = (estimate_of(name, rows) for rows in (64, 4096))
    assert (few.rows, many.rows) == (64, 4096)
    assert few.work < many.work
    assert 0 < few.seconds < many.seconds
    none, gradient = estimate_of(name, 64, reduction="none"), estimate_of(name, 64, gradient=True)
    assert none.answer > few.answer or LOSSES[name].value.text == "()"
    assert gradient.work > few.work
    assert gradient.answer > few.answer


@every_loss
@pytest.mark.parametrize(
    "options", [{"gradient": True}, {"reduction": ["none", "mean"], "gradient": True}], ids=str
)
def test_the_bytes_of_an_answer_are_counted(name, options):
    call = sample_call(LOSSES[name], np.random.default_rng(0), batch=(50,))
    asked = Call(call.arrays, {**call.options, **options})
    answer = evaluate(LOSSES[name], asked)
    arrays = [*answer.loss.values(), *(g for each in answer.gradient.values() for g in each.values())]
    assert prepare(LOSSES[name], asked).estimate.answer == sum(np.asarray(array).nbytes for array in arrays)


@every_loss
def test_the_work_space_is_no_less_than_what_a_call_works_in(name):
    """Measured at a size at which rows outweigh what every call holds; SIZES are small, so a margin of a MiB."""
    rows = 600 if LOSSES[name].whole_batch else 4000
    call = sample_call(
        LOSSES[name], np.random.default_rng(0), batch=(rows,), sizes={**SIZES, "C": 16, "D": 16}
    )
    asked = Call(call.arrays, {**call.options, "gradient": True, "reduction": ["mean", "sum"]})
    evaluate(LOSSES[name], asked)  # keeps what calls of one shape share
    estimate = prepare(LOSSES[name], asked).estimate
    tracemalloc.start()
    evaluate(LOSSES[name], asked)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 2 * (estimate.workspace + estimate.answer) + 2**20


def peak_of(name: str, arrays: dict[str, np.ndarray], **options: Any) -> tuple[int, Estimate]:
    """Return the bytes that a call takes at its peak, with what finding its cost takes, and that cost."""
    call = Call(arrays, options)
    tracemalloc.start()
    evaluate(find(name), call)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak, prepare(find(name), call).estimate


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mse", {}),
        ("mse", {"gradient": True}),
        ("mse", {"gradient": ["input", "weight"]}),
        ("mse", {"gradient": ["input", "weight"], "reduction": ["none", "mean", "weighted_mean"]}),
        ("log_cosh", {"gradient": True, "reduction": ["mean", "weighted_mean"]}),
        ("bce_with_logits", {"gradient": True, "reduction": ["none", "sum"]}),
    ],
)
def test_the_work_space_is_enough_for_weights_that_take_long_double(name: str, options: dict[str, Any]):
    count = 300_000
    heavy = np.ones(count)
    heavy[0] = 1e300
    weight = "weight" if name == "mse" else "sample_weight"
    peak, estimate = peak_of(
        name, {"input": np.linspace(0, 1, count), "target": np.ones(count), weight: heavy}, **options
    )
    assert peak <= 1.25 * (estimate.workspace + estimate.answer) + 2**20


def test_the_work_space_counts_what_is_known_of_lists():
    count = 200_000
    scores = np.linspace(0, 1, 2 * count)
    peak, estimate = peak_of(
        "ranking_softmax", {"input": scores, "target": scores, "group": np.full(count, 2)}, gradient=True
    )
    assert peak <= 1.25 * (estimate.workspace + estimate.answer) + 2**20


def test_the_work_follows_what_a_kernel_does():
    """nll reads one class of each row; multilabel_margin sorts all of them, which bce does not."""
    shapes = {"input": (1000, 100), "target": (1000,)}
    few, many = (
        prepare(find("nll"), Call(vast("nll", {**shapes, "input": (1000, classes)}))).estimate
        for classes in (100, 1000)
    )
    blocks = many.rows / many.block_rows - few.rows / few.block_rows
    assert many.work - few.work <= 110_000 * blocks  # a block's own share, and nothing for the classes
    square = {"input": (1000, 100), "target": (1000, 100)}
    plain, sorting = (
        prepare(find(name), Call(vast(name, square))).estimate.work
        for name in ("bce_with_logits", "multilabel_margin")
    )
    assert sorting > 10 * plain


@pytest.mark.parametrize(("frames", "labels", "classes"), [(100, 20, 50), (200, 40, 100), (100, 20, 200)])
def test_a_step_of_ctc_works_on_enough_states_to_be_worth_a_call_whatever_the_classes(
    frames: int, labels: int, classes: int
):
    """Steps over 8 samples, for the classes were counted among the states, took 1.7 times as long."""
    shapes = {
        "log_probs": (frames, 1000, classes),
        "targets": (1000, labels),
        "input_lengths": (1000,),
        "target_lengths": (1000,),
    }
    states = 2 * (2 * labels + 1)  # forward and backward
    assert prepare(find("ctc"), Call(vast("ctc", shapes))).estimate.block_rows * states >= 1024


@every_loss
def test_a_call_may_cost_what_the_limits_say_and_not_one_more(name):
    call = sample_call(LOSSES[name], np.random.default_rng(0), batch=(16,))
    asked = Call(call.arrays, {**call.options, "gradient": True})
    estimate = prepare(LOSSES[name], asked).estimate
    enough = CostLimits(estimate.work, estimate.workspace, estimate.answer)
    assert evaluate(LOSSES[name], asked, limits=enough).loss == evaluate(LOSSES[name], asked).loss
    for limit, named in (("work", "work"), ("workspace_bytes", "workspace"), ("answer_bytes", "answer")):
        less = replace(enough, **{limit: getattr(enough, limit) - 1})
        with pytest.raises(InvalidCall, match=f"^the call is too expensive: its {named} would be "):
            evaluate(LOSSES[name], asked, limits=less)
    # what was refused is not kept for a caller with other limits
    assert evaluate(LOSSES[name], asked, limits=enough).count == evaluate(LOSSES[name], asked).count


def test_a_call_that_a_fused_kernel_covers_takes_less_time_than_its_work():
    arrays = {"input": np.ones((64, 64), np.float32), "target": np.zeros((64, 64), np.float32)}
    fused = prepare(find("dice"), Call(arrays, {"gradient": True})).estimate
    other = prepare(find("dice"), Call({**arrays, "mask": np.ones((), bool)}, {"gradient": True})).estimate
    assert fused.work <= other.work
    assert fused.seconds < other.seconds / 2


LIMITS = CostLimits(10**11, 2**30, 2**30)
TOO_MUCH = {
    "nt_xent": ({"embeddings": (10**6, 10), "labels": (10**6,)}, "N, the items of the batch"),
    "mse": ({"input": (10**12,), "target": (10**12,)}, "axis 0 of the batch"),
    "cross_entropy": ({"input": (10, 10**11), "target": (10,)}, "C, the classes"),
    "ctc": (
        {"logits": (10**7, 4, 1000), "targets": (4, 10**5), "input_lengths": (4,), "target_lengths": (4,)},
        "T, the time steps",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TOO_MUCH)
def test_too_much_is_refused_before_anything_is_allocated_and_its_longest_axis_named(name):
    shapes, axis = TOO_MUCH[name]
    arrays = vast(name, shapes)
    tracemalloc.start()
    with pytest.raises(
        InvalidCall, match=r"^the call is too expensive: .* smaller, or send it in parts$"
    ) as refused:
        evaluate(find(name), Call(arrays, {"gradient": True}), limits=LIMITS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert f"make {axis}" in str(refused.value)
    assert peak < 10_000_000


def test_an_estimate_needs_no_values():
    shapes = {"input": (10**9, 100), "target": (10**9,)}
    found = prepare(find("cross_entropy"), Call(vast("cross_entropy", shapes), {"gradient": True})).estimate
    assert found.rows == 10**9
    assert found.answer == 8 * (10**11 + 1)
    assert all(value for value in astuple(found))


@pytest.mark.parametrize("name", ["triplet_margin", "triplet_margin_with_distance"])
def test_triplets_of_long_vectors_count_what_their_kernel_does(name: str) -> None:
    """Most triplets of long random vectors leave the fused kernel: 7 to 13 ns a coordinate were measured."""
    vectors = np.zeros((1000, 1000))
    call = Call({"anchor": vectors, "positive": vectors, "negative": vectors}, {})
    assert prepare(LOSSES[name], call).estimate.seconds > 4e-9 * vectors.size


def test_a_fused_kernel_finds_derivatives_with_the_values():
    """Values of mse took 0.5 ns, with their gradient 0.5 ns."""
    arrays = {"input": np.ones(100_000), "target": np.zeros(100_000)}
    value, gradient = (
        prepare(find("mse"), Call(arrays, options)).estimate for options in ({}, {"gradient": True})
    )
    assert gradient.work > value.work
    assert gradient.seconds < 1.2 * value.seconds


# Nanoseconds a number that values with their gradient took with one thread: of 1e6 numbers, of lists of up to five true
# classes, of vectors of 1,000 coordinates.
MEASURED = {
    ("mse", "f4"): ({"input": (1_000_000,), "target": (1_000_000,)}, 0.29),
    ("mse", "f8"): ({"input": (1_000_000,), "target": (1_000_000,)}, 0.75),
    ("l1", "f4"): ({"input": (1_000_000,), "target": (1_000_000,)}, 0.63),
    ("huber", "f8"): ({"input": (1_000_000,), "target": (1_000_000,)}, 1.2),
    ("bce_with_logits", "f8"): ({"input": (1_000_000,), "target": (1_000_000,)}, 4.4),
    ("hinge", "f4"): ({"input": (1_000_000,), "target": (1_000_000,)}, 5.9),
    ("squared_hinge", "f4"): ({"input": (1_000_000,), "target": (1_000_000,)}, 2.9),
    ("cross_entropy", "f4"): ({"input": (10_000, 100), "target": (10_000,)}, 0.78),
    ("multi_margin", "f4"): ({"input": (10_000, 10), "target": (10_000,)}, 1.35),
    ("multilabel_margin", "f4"): ({"input": (10_000, 10), "target": (10_000, 10)}, 9.4),
    ("triplet_margin", "f8"): (dict.fromkeys(("anchor", "positive", "negative"), (1000, 1000)), 21.0),
}


@pytest.mark.parametrize(("name", "dtype"), MEASURED)
def test_the_time_is_within_a_factor_of_three_of_what_was_measured(name: str, dtype: str) -> None:
    shapes, nanoseconds = MEASURED[name, dtype]
    arrays = {
        key: array.astype(dtype) if array.dtype.kind == "f" else array
        for key, array in vast(name, shapes).items()
    }
    first = next(iter(arrays.values()))
    estimate = prepare(find(name), Call(arrays, {"gradient": True})).estimate
    measured = nanoseconds * 1e-9 * first.size
    assert measured / 3 < estimate.seconds < 3 * measured


def test_a_product_of_matrices_costs_less_than_the_same_number_of_other_operations():
    """25 to 80 multiplications were measured for a nanosecond; other operations of these 200 views are 2 ms."""
    views = np.zeros((200, 500))
    call = Call({"z1": views, "z2": views}, {})
    assert prepare(find("barlow_twins"), call).estimate.seconds < 0.02


@pytest.mark.parametrize(("shape", "axis"), [((0, 700, 900), 0), ((700, 0, 900), [1])])
def test_what_is_left_of_an_axis_without_elements_counts(shape: tuple[int, ...], axis: Any) -> None:
    nothing = {"input": np.zeros(shape), "target": np.zeros(shape)}
    few = prepare(LOSSES["mse"], Call(nothing, {"axis": axis, "reduction": "sum"})).estimate
    many = prepare(
        LOSSES["mse"], Call(nothing, {"axis": axis, "reduction": ["sum", "mean"], "empty": "nan"})
    ).estimate
    result = denominator = 8 * 700 * 900
    assert few.answer == result + denominator
    assert many.answer == 2 * result + denominator
    assert few.workspace > 3 * result
    assert few.seconds > 0.005


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [300.0, 1e30], ids=["within float32", "beyond it"])
@pytest.mark.parametrize(
    "options",
    [
        {"reduction": "none"},
        {"reduction": "sum", "axis": 0},
        {"reduction": ["none", "mean"], "gradient": True},
    ],
    ids=str,
)
def test_what_a_broadcast_takes_is_counted_in_the_wider_type_too(
    dtype: type[np.generic], value: float, options: dict[str, Any]
) -> None:
    """The squares of 300 left the range of float16: values kept in float64 were rounded to it all at once."""
    with np.errstate(over="ignore"):
        arrays = {"input": np.zeros((1500, 1), dtype), "target": np.full((1, 1500), value).astype(dtype)}
    peak, estimate = peak_of("mse", arrays, broadcast=True, **options)
    assert peak <= 1.25 * (estimate.workspace + estimate.answer) + 2**20


@pytest.mark.parametrize("threads", [1, 2])
def test_what_overflows_is_freed_before_it_is_computed_in_the_wider_type(threads: int) -> None:
    count = 1_000_000
    call = Call(
        {"input": np.zeros(count, np.float32), "target": np.full(count, 1e30, np.float32)},
        {"reduction": "none", "gradient": True},
    )
    evaluate(find("mse"), call, threads=threads)  # starts the threads
    tracemalloc.start()
    evaluate(find("mse"), call, threads=threads)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    values = gradient = 4 * count
    assert peak < 1.25 * (values + gradient) + 2**23  # and blocks
