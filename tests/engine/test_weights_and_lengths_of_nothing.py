"""Every loss with one weight for the whole call, also 0 and below, and with core axes of length 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossd.declaration.loss import Loss
from lossd.declaration.samples import SIZES, forms, sample_call
from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.losses import LOSSES
from lossd.message import Answer, Call

every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def _ask(loss: Loss, reduction: str, weight: float | None = None) -> Answer:
    call = sample_call(loss, np.random.default_rng(0))
    arrays = dict(call.arrays)
    if weight is not None:
        arrays["sample_weight"] = np.asarray(weight)
    return evaluate(loss, Call(arrays, {**call.options, "reduction": reduction, "gradient": True}))


@every_loss
@pytest.mark.parametrize("reduction", ["none", "sum"])
@pytest.mark.parametrize("weight", [0.0, -2.0])
def test_one_weight_multiplies_values_and_slopes(loss: Loss, reduction: str, weight: float) -> None:
    plain, weighed = _ask(loss, reduction), _ask(loss, reduction, weight)
    np.testing.assert_allclose(weighed.loss[reduction], plain.loss[reduction] * weight, rtol=1e-12)
    for name, gradient in plain.gradient[reduction].items():
        found = weighed.gradient[reduction][name]
        np.testing.assert_allclose(found, gradient * weight, rtol=1e-12, atol=1e-14 * np.abs(gradient).max())


@every_loss
@pytest.mark.parametrize("letter", sorted(set("DKLPQSTBC")))
def test_a_core_axis_of_length_0_is_answered_or_refused(loss: Loss, letter: str) -> None:
    form = forms(loss)[0]
    if not any(letter in role.pattern.letters for role in form.roles.values()):
        return
    options: dict[str, Any] = {"reduction": "sum", "gradient": True}
    try:
        call = sample_call(loss, np.random.default_rng(0), form=form, sizes={**SIZES, letter: 0})
    except ValueError:  # nothing can be drawn from no classes
        return
    try:
        answer = evaluate(loss, Call(call.arrays, {**call.options, **options}))
    except InvalidCall as refusal:
        assert str(refusal).startswith("expected ")  # noqa: PT017
        return
    for name, gradient in answer.gradient["sum"].items():
        assert gradient.shape == np.shape(call.arrays.get(name, gradient))
