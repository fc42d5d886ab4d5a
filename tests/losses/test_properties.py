"""Every property of every loss."""

from __future__ import annotations

import pytest

from tests.losses.cases import CASES, Case
from tests.losses.properties import PROPERTIES


def _weighs_its_mean(case: Case) -> bool:
    return case.loss.mass is not None and case.loss.mass.of in case.call.arrays


def _weighs_by_index(case: Case) -> bool:
    return _weighs_its_mean(case) and "by C" not in case.form.name


def _is_plain_cross_entropy(case: Case) -> bool:
    return case.loss.name == "cross_entropy" and case.form.name == "plain" and not case.drawn


# Property to the cases that break it, and why; a case that no longer does fails here, and its line goes.
KNOWN = {
    "check_empty": (_weighs_its_mean, "the slope of a mean over nothing is a quotient by zero"),
    "check_floating_types": (
        _weighs_its_mean,
        "a weight's gradient is rounded before its last term is added",
    ),
    "check_tuned_kernel": (
        lambda case: _weighs_by_index(case) or _is_plain_cross_entropy(case),
        "weights that are not finite warn; tuned cross entropy makes NaN of an infinite logit",
    ),
}


def _pairs() -> list:
    pairs = []
    for check in PROPERTIES:
        breaks, reason = KNOWN.get(check.__name__, (lambda case: False, ""))
        for case in CASES:
            marks = [pytest.mark.xfail(strict=True, reason=reason)] if breaks(case) else []
            name = f"{check.__name__.removeprefix('check_')}-{case}"
            pairs.append(pytest.param(check, case, marks=marks, id=name))
    return pairs


@pytest.mark.parametrize(("check", "case"), _pairs())
def test_every_loss(check, case):
    check(case)
