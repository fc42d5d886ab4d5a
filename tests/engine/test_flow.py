"""The flow of one evaluation: what is computed when, what it reports, and how it is stopped."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.result import Result
from lossd.declaration.roles import Real
from lossd.declaration.samples import sample_call
from lossd.engine import evaluate, prepare, template_cache
from lossd.engine.evaluate import planned
from lossd.errors import DeadlineExceeded, InvalidCall
from lossd.losses import find
from lossd.message import Array, Call

RNG = np.random.default_rng(13)
MANY = 900_000  # several blocks also in float32
LONG = {"input": RNG.standard_normal(MANY), "target": RNG.standard_normal(MANY)}


@pytest.mark.parametrize(
    "options",
    [{}, {"gradient": True}, {"reduction": ["none", "mean"], "gradient": ["input", "target"]}],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_change_no_bit_of_a_long_call(options, dtype):
    call = Call({name: array.astype(dtype) for name, array in LONG.items()}, options)
    one = evaluate(find("huber"), call)
    for threads in (2, 3, 8):
        many = evaluate(find("huber"), call, threads=threads)
        assert many.loss["mean"].tobytes() == one.loss["mean"].tobytes()
        for mode, gradients in one.gradient.items():
            assert all(
                many.gradient[mode][name].tobytes() == array.tobytes() for name, array in gradients.items()
            )


@pytest.mark.parametrize("options", [{}, {"gradient": True}, {"reduction": "none"}], ids=str)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_checkpoint_stops_the_work_between_blocks(options, threads):
    passed = []

    def checkpoint():
        passed.append(None)
        if len(passed) == 3:
            raise DeadlineExceeded("too late")

    with pytest.raises(DeadlineExceeded, match="too late"):
        evaluate(find("mse"), Call(LONG, options), threads=threads, checkpoint=checkpoint)
    evaluate(find("mse"), Call(LONG, options), threads=threads, checkpoint=lambda: None)


def test_every_block_has_its_checkpoint():
    passed = []
    call = Call({"input": np.zeros(100), "target": np.zeros(100)})
    evaluate(find("mse"), call, block_bytes=80, checkpoint=lambda: passed.append(None))
    assert len(passed) == 13  # of 8 rows, the largest power of two that fits


def test_a_derivative_through_iterations_has_a_checkpoint_at_each():
    loss, passed = find("sinkhorn"), {}
    arrays = sample_call(loss, np.random.default_rng(3), batch=(1,)).arrays
    for gradient in (False, True):
        counted: list[None] = []
        call = Call(arrays, {"iterations": 50, "gradient": gradient})
        evaluate(loss, call, checkpoint=lambda counted=counted: counted.append(None))
        passed[gradient] = len(counted)
    assert passed[True] - passed[False] == 50 <= passed[False]


def test_float32_sums_are_as_exact_as_float64_ones():
    """A million float32 values one by one would err by some 1e-4; blocks in float64 err by an ulp of the result."""
    values = np.full(1_000_000, 0.1, np.float32)
    answer = evaluate(
        find("l1"), Call({"input": values, "target": np.zeros_like(values)}, {"reduction": ["sum", "mean"]})
    )
    exact = float(np.float32(0.1)) * 1_000_000
    assert answer.loss["sum"] == np.float32(exact)
    assert answer.loss["mean"] == np.float32(0.1)
    alone = evaluate(find("l1"), Call({"input": values, "target": np.zeros_like(values)}))
    # The fused kernel adds runs of 512 in the lanes of float32, here equal numbers that all round alike.
    np.testing.assert_allclose(alone.loss["mean"], np.float32(0.1), rtol=8 * 2.0**-23)


def test_a_mean_of_large_float32_losses_does_not_overflow():
    """Each square is 1e38, below float32's 3.4e38; their sum is not, but their mean is."""
    call = {"input": np.full(600, 1e19, np.float32), "target": np.zeros(600, np.float32)}
    for options in ({}, {"gradient": True}, {"reduction": ["mean"]}):
        np.testing.assert_allclose(evaluate(find("mse"), Call(call, options)).loss["mean"], 1e38, rtol=1e-6)


def test_float16_overflows_to_infinity():
    """65504 is its largest number; a squared thousand is infinity in it, silently, as IEEE has it."""
    arrays = {"input": np.array([1000.0, 1.0], np.float16), "target": np.zeros(2, np.float16)}
    answer = evaluate(find("mse"), Call(arrays, {"reduction": ["none", "mean"], "gradient": True}))
    np.testing.assert_array_equal(answer.loss["none"], [np.inf, 1])
    assert answer.loss["mean"] == np.inf
    np.testing.assert_array_equal(answer.gradient["none"]["input"], [2000, 2])


@pytest.mark.parametrize("options", [{}, {"axis": 0}], ids=str)
def test_where_all_weigh_zero_the_value_and_every_slope_are_zero_on_request(options):
    arrays = {"input": np.array([[3.0], [1.0]]), "target": np.zeros((2, 1)), "weight": np.zeros((2, 1))}
    call = Call(arrays, {"empty": "zero", "gradient": ["input", "target", "weight"]} | options)
    answer = evaluate(find("mse"), call)
    assert not np.any(answer.loss["mean"])
    assert {name: float(np.abs(slope).sum()) for name, slope in answer.gradient["mean"].items()} == {
        "input": 0, "target": 0, "weight": 0,
    }  # fmt: skip


def test_mixed_types_are_promoted():
    answer = evaluate(
        find("huber"), Call({"input": np.zeros(2, np.float32), "target": np.ones(2)}, {"gradient": True})
    )
    assert answer.loss["mean"].dtype == answer.gradient["mean"]["input"].dtype == np.float64
    whole = evaluate(find("huber"), Call({"input": np.zeros(2, np.float32), "target": np.ones(2, np.int64)}))
    assert whole.loss["mean"].dtype == np.float32


def test_reductions_come_in_the_order_asked_each_once():
    call = Call({"input": np.ones(2), "target": np.zeros(2)}, {"reduction": ["sum", "mean", "sum", "none"]})
    assert list(evaluate(find("mse"), call).loss) == ["sum", "mean", "none"]


def test_a_derivative_is_computed_once_for_all_reductions():
    computed = []

    @loss(formula=r"\ell = x^2", source="this test", example=Example(input=[2.0], value=[4.0]))
    def square(input: Real) -> Result:
        """A square that counts its slopes."""

        def slope() -> Array:
            computed.append(None)
            return 2 * input

        return Result(input * input, {"input": slope})

    options = {"reduction": ["mean", "sum", "none"], "gradient": True}
    answer = evaluate(square, Call({"input": np.array([1.0, 3.0])}, options))
    assert {name: each["input"].tolist() for name, each in answer.gradient.items()} == {
        "mean": [1, 3],
        "sum": [2, 6],
        "none": [2, 6],
    }
    assert len(computed) == 1


def test_gradients_come_in_the_order_asked_each_once():
    call = Call({"input": np.ones(2), "target": np.zeros(2)}, {"gradient": ["target", "input", "target"]})
    assert list(evaluate(find("mse"), call).gradient["mean"]) == ["target", "input"]


def test_class_probabilities_that_do_not_sum_to_one_are_reported():
    arrays = {"input": np.zeros((2, 2)), "target": np.array([[0.5, 0.5], [0.5, 0.4]])}
    assert evaluate(find("cross_entropy"), Call(arrays)).warnings == (
        "target: some rows of probabilities do not sum to 1",
    )
    assert evaluate(find("cross_entropy"), Call(arrays, {"check_target": "none"})).warnings == ()
    arrays["target"] = np.array([[0.5, 0.5], [0.1, 0.9]], np.float32)
    assert evaluate(find("cross_entropy"), Call(arrays, {"check_target": "strict"})).warnings == ()


def test_the_warning_names_the_histograms_that_do_not_sum_to_one():
    half, whole = np.array([[0.25, 0.25]]), np.array([[0.5, 0.5]])
    unlike = {"input": half, "target": whole, "cost": 1 - np.eye(2)}
    assert evaluate(find("sinkhorn"), Call(unlike)).warnings == (
        "input: some rows of probabilities do not sum to 1",
    )
    with pytest.raises(InvalidCall, match=r"probabilities that sum to 1, got a sum of 0\.5 - at `input"):
        evaluate(find("sinkhorn"), Call(unlike, {"check_target": "strict"}))
    assert len(evaluate(find("sinkhorn"), Call({**unlike, "target": half})).warnings) == 2


def test_unchecked_targets_may_be_any_number():
    arrays = {"input": np.array([0.5, 0.25]), "target": np.array([-1.0, 2.0])}
    with pytest.raises(InvalidCall, match="at `target\\[0\\]`"):
        evaluate(find("bce"), Call(arrays))
    answer = evaluate(find("bce"), Call(arrays, {"check_target": "none", "reduction": "none"}))
    by_hand = [-(-np.log(0.5) + 2 * np.log(0.5)), -(2 * np.log(0.25) - np.log(0.75))]
    np.testing.assert_allclose(answer.loss["none"], by_hand, rtol=1e-15)


@pytest.mark.parametrize("name", ["bce", "bce_with_logits"])
def test_unchecked_targets_that_cancel_are_not_taken_for_labels(name):
    """Each of these times what it leaves of 1 is -2 or 1/4, together nothing."""
    arrays = {"input": np.linspace(0.1, 0.9, 9), "target": np.array([2.0] + [0.5] * 8)}
    options = {"check_target": "none", "gradient": True}
    alone = evaluate(find(name), Call(arrays, options))
    general = evaluate(find(name), Call(arrays, {**options, "reduction": ["mean", "none"]}))
    np.testing.assert_allclose(alone.loss["mean"], general.loss["mean"], rtol=1e-14)
    np.testing.assert_allclose(
        alone.gradient["mean"]["input"], general.gradient["mean"]["input"], rtol=1e-14, atol=1e-16
    )


def test_ignored_samples_leave_the_mean_and_mix_with_masks_and_weights():
    logits = RNG.standard_normal((5, 3))
    target = np.array([0, -100, 2, 1, 7])
    mask = np.array([True, True, False, True, False])
    weight, samples = np.array([1.0, 2.0, 4.0]), np.array([1.0, np.nan, np.nan, 3.0, np.nan])
    options = {"reduction": ["mean", "weighted_mean", "sum"], "gradient": ["input", "weight"]}
    arrays = {"input": logits, "target": target, "weight": weight, "mask": mask, "sample_weight": samples}
    actual = evaluate(find("cross_entropy"), Call(arrays, options))
    kept = [0, 3]
    few = {"input": logits[kept], "target": target[kept], "weight": weight, "sample_weight": samples[kept]}
    expected = evaluate(find("cross_entropy"), Call(few, options))
    assert actual.count == expected.count == 2
    assert actual.denominator == expected.denominator == 3.0
    for mode in options["reduction"]:
        np.testing.assert_allclose(actual.loss[mode], expected.loss[mode], rtol=1e-15)
        np.testing.assert_allclose(
            actual.gradient[mode]["input"][kept], expected.gradient[mode]["input"], rtol=1e-14
        )
        np.testing.assert_allclose(
            actual.gradient[mode]["weight"], expected.gradient[mode]["weight"], rtol=1e-14, atol=1e-16
        )


def test_an_answer_does_not_remember_the_call_before():
    """What is kept between calls of one shape holds no values: not those checked, ignored or weighed."""
    loss, logits = find("cross_entropy"), RNG.standard_normal((3, 4))
    good, options = np.array([0, 1, 2]), {"gradient": True}
    first = evaluate(loss, Call({"input": logits, "target": good}, options))
    ignored = evaluate(loss, Call({"input": logits, "target": np.array([0, -100, 2])}, options))
    assert ignored.count == 2
    assert not ignored.gradient["mean"]["input"][1].any()
    with pytest.raises(InvalidCall, match="at `target\\[2\\]`"):
        evaluate(loss, Call({"input": logits, "target": np.array([0, 1, 4])}, options))
    again = evaluate(loss, Call({"input": logits, "target": good}, options))
    assert again.loss["mean"] == first.loss["mean"]
    assert not np.shares_memory(again.gradient["mean"]["input"], first.gradient["mean"]["input"])
    huber, pair = find("huber"), {"input": np.array([3.0]), "target": np.array([0.0])}
    assert [evaluate(huber, Call(pair, {"delta": delta})).loss["mean"] for delta in (1.0, 2.0, 1.0)] == [
        2.5,
        4.0,
        2.5,
    ]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_of_several_faults_the_first_is_told_whichever_thread_finds_which(threads):
    input = np.full(100, 0.5)
    input[[37, 61, 99]] = 2.0
    call = Call({"input": input, "target": np.ones(100)})
    for _ in range(20):
        with pytest.raises(InvalidCall) as refused:
            evaluate(find("bce"), call, threads=threads, block_bytes=64)
        assert refused.value.errors[0].at == "input[37]"


def test_the_template_of_a_call_is_not_taken_for_an_equal_one_of_other_types():
    arrays = {"input": np.zeros((2, 3)), "target": np.ones((2, 3))}
    for right, wrong in (
        ({"axis": [1]}, {"axis": [True]}),
        ({"axis": 1}, {"axis": True}),
        ({"gradient": True}, {"gradient": 1}),
        ({"denominator": 1.0}, {"denominator": True}),
    ):
        evaluate(find("mse"), Call(arrays, right))
        with pytest.raises(InvalidCall):
            evaluate(find("mse"), Call(arrays, wrong))
        evaluate(find("mse"), Call(arrays, right))


@pytest.mark.parametrize(
    "options",
    [{}, {"reduction": "none"}, {"axis": 0}, {"hessian": True}, {"broadcast": True}, {"dtype": "float64"}],
    ids=str,
)
def test_what_is_kept_of_a_call_holds_nothing_as_large_as_its_arrays(options):
    evaluate(find("mse"), Call({"input": np.ones(3), "target": np.ones(3)}))
    for name in ("mse", "smooth_l1"):
        for rows in (100_000, 110_000):  # scratch memory stays, once
            arrays = {"input": np.ones((rows, 2), np.float32), "target": np.ones((rows, 2), np.float32)}
            tracemalloc.start()
            evaluate(find(name), Call(arrays, {"gradient": True, **options}))
            kept, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert rows == 100_000 or kept < 100_000


def test_a_long_list_of_options_is_not_kept():
    arrays = {"input": np.ones(3), "target": np.ones(3)}
    evaluate(find("mse"), Call(arrays))  # makes what every call needs
    kept = template_cache._template_of_zeros.cache_info().currsize
    for length in (33, 64):
        evaluate(find("mse"), Call(arrays, {"reduction": ["mean"] * length}))
    assert template_cache._template_of_zeros.cache_info().currsize == kept


@pytest.mark.parametrize(
    ("loss", "mask", "options"),
    [
        ("ranking_softmax", {"mask": np.array([True, False])}, {}),
        ("ranking_softmax", {"mask": np.array([[True, False], [True, True]])}, {}),
        ("mse", {}, {"reduction": ["mean", "none"] * 20}),
    ],
)
def test_the_arrays_of_a_call_whose_template_is_not_kept_are_bound_once(loss, mask, options):
    arrays = {"input": np.ones((2, 2)), "target": np.ones((2, 2)), **mask}
    prepared = prepare(find(loss), Call(arrays, options))
    bound, _, _ = planned(prepared)
    assert bound is prepared.template.bound


@pytest.mark.parametrize("loss", ["huber", "smooth_l1", "cross_entropy"])
def test_one_name_to_differentiate_needs_no_list(loss):
    sampled = sample_call(find(loss), np.random.default_rng(0), batch=(5,))
    for mode in ("mean", ["none", "sum"]):
        one, listed = (
            evaluate(
                find(loss), Call(sampled.arrays, {**sampled.options, "reduction": mode, "gradient": gradient})
            )
            for gradient in ("input", ["input"])
        )
        assert one.gradient.keys() == listed.gradient.keys()
        for reduction, by_name in listed.gradient.items():
            assert one.gradient[reduction].keys() == {"input"}
            assert one.gradient[reduction]["input"].tobytes() == by_name["input"].tobytes()


def test_one_name_that_cannot_be_differentiated_is_refused_in_its_place():
    with pytest.raises(
        InvalidCall, match='expected true, false or one of input, target, got "x" - at `gradient`'
    ):
        evaluate(find("mse"), Call({"input": np.ones(1), "target": np.ones(1)}, {"gradient": "x"}))
