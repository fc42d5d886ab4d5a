"""The table of fused kernels: which calls one answers, and which go to the loss's own kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossd.declaration.samples import forms, sample_call
from lossd.engine import evaluate, prepare
from lossd.fused import FUSED
from lossd.losses import LOSSES, find
from lossd.message import Call

NAMES = [name for name, loss in LOSSES.items() if loss.kernel in FUSED]
ROW = np.array([1.0, -2.0, 0.5])
every_fused = pytest.mark.parametrize("name", NAMES)


def is_fused(name: str, arrays: dict[str, Any], **options: Any) -> bool:
    return prepare(find(name), Call(arrays, options)).template.fused is not None


def test_every_fused_kernel_belongs_to_a_loss():
    assert FUSED.keys() <= {loss.kernel for loss in LOSSES.values()}
    assert {"mse", "cross_entropy", "nll", "bce", "dice", "triplet_margin"} <= set(NAMES)


@every_fused
def test_it_names_what_it_takes(name):
    loss = LOSSES[name]
    for kernel in FUSED[loss.kernel]:
        assert {"scale", "out", "scratch", *loss.gradient} <= kernel.accepts
        needed = {a.name for a in loss.arguments if not a.optional}
        assert needed <= kernel.accepts


@every_fused
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("options", [{}, {"gradient": True}, {"reduction": "sum", "gradient": True}], ids=str)
def test_the_plainest_calls_are_fused(name, dtype, options):
    call = sample_call(LOSSES[name], np.random.default_rng(0), batch=(8,), dtype=dtype)
    assert is_fused(name, dict(call.arrays), **call.options, **options)


@every_fused
def test_a_fused_kernel_is_found_under_every_name_of_its_loss(name):
    call = sample_call(LOSSES[name], np.random.default_rng(0), batch=(8,))
    for alias in LOSSES[name].aliases:
        options = {"reduction": "sum", "convention": None} | ({"smooth": 1e-7} if name == "dice" else {})
        reductions = alias.reductions or ("sum",)
        options["reduction"] = reductions[0]
        assert is_fused(alias.name, dict(call.arrays), **call.options, **options), alias.name


@every_fused
@pytest.mark.parametrize(
    "asked",
    [
        {"reduction": "none"},
        {"reduction": ["mean", "sum"]},
        {"hessian": True},
        {"gradient": ["target"]},
        {"sample_weight": np.ones(8)},
        {"mask": np.ones(8, bool)},
    ],
    ids=str,
)
def test_a_call_that_asks_for_more_goes_to_the_kernel(name, asked):
    call = sample_call(LOSSES[name], np.random.default_rng(0), batch=(8,))
    arrays = {key: value for key, value in asked.items() if isinstance(value, np.ndarray)}
    options = {key: value for key, value in asked.items() if key not in arrays}
    if not set(options.get("gradient", [])) <= set(LOSSES[name].by_name) & set(LOSSES[name].differentiable):
        return
    if (
        options.get("gradient") == ["target"]
        and LOSSES[name].by_name["target"].role.forms[0].domain.kind != "real"
    ):
        return  # there is no such derivative
    assert not is_fused(name, {**call.arrays, **arrays}, **call.options, **options)


GENERAL = {
    "a weight of rows": ("mse", {"input": ROW, "target": ROW, "weight": np.ones(3)}, {}),
    "a broadcast": ("mse", {"input": ROW, "target": ROW[:1]}, {"broadcast": True}),
    "complex numbers": ("mse", {"input": ROW * 1j, "target": ROW}, {}),
    "reduced axes": ("mse", {"input": ROW[None], "target": ROW[None]}, {"axis": 0}),
    "no rows": ("mse", {"input": ROW[:0], "target": ROW[:0]}, {"reduction": "sum"}),
    "targets unchecked": ("bce", {"input": abs(ROW) / 4, "target": abs(ROW) / 4}, {"check_target": "none"}),
    "class probabilities": ("cross_entropy", {"input": ROW[None], "target": np.full((1, 3), 1 / 3)}, {}),
    "label smoothing": ("cross_entropy", {"input": ROW[None], "target": np.array([1])}, {"label_smoothing": 0.1}),
    "another norm": (
        "triplet_margin", {"anchor": ROW[None], "positive": 2 * ROW[None], "negative": -ROW[None]}, {"p": 3.0},
    ),
    "a huge setting": ("huber", {"input": ROW, "target": -ROW}, {"delta": 1e300}),
}  # fmt: skip


@pytest.mark.parametrize("case", GENERAL)
def test_what_a_fused_kernel_does_not_name_goes_to_the_kernel(case):
    name, arrays, options = GENERAL[case]
    assert not is_fused(name, arrays, **options)


@every_fused
def test_both_kernels_agree_on_the_plainest_call(name, monkeypatch):
    call = sample_call(LOSSES[name], np.random.default_rng(0), batch=(8,))
    asked = Call(call.arrays, {**call.options, "gradient": True})
    alone = evaluate(LOSSES[name], asked)
    both = evaluate(
        LOSSES[name], Call(call.arrays, {**call.options, "gradient": True, "reduction": ["mean", "sum"]})
    )
    np.testing.assert_allclose(alone.loss["mean"], both.loss["mean"], rtol=1e-14)
    for each, gradient in both.gradient["mean"].items():
        np.testing.assert_allclose(alone.gradient["mean"][each], gradient, rtol=1e-13, atol=1e-15)


@every_fused
def test_classes_on_another_axis_and_strides_are_fused_too(name):
    loss = LOSSES[name]
    if loss.whole_batch or name == "dice":
        return
    call = sample_call(loss, np.random.default_rng(0), batch=(4, 3))
    assert is_fused(name, {key: np.asfortranarray(array) for key, array in call.arrays.items()})
    if "class_axis" in loss.settings:
        roles = forms(loss)[0].roles
        moved = {
            key: np.moveaxis(a, roles[key].default_axis, 0) if roles[key].axes else a
            for key, a in call.arrays.items()
        }
        assert is_fused(name, moved, class_axis=0)
