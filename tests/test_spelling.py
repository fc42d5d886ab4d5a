"""The hint at a name is right where a name is misspelt, and absent where it only resembles another."""

from __future__ import annotations

import pytest

from lossd.engine.request import Options
from lossd.losses import LOSSES
from lossd.spelling import did_you_mean

# A hint is among the names of one loss; these have all the names below between them.
OF = (
    *("huber", "cross_entropy", "bce_with_logits", "dice", "multi_quantile", "triplet_margin"),
    *("nt_xent", "ctc"),
)
KNOWN = sorted(
    {
        *Options.model_fields,
        *(name for loss in OF for name in (*LOSSES[loss].by_name, *LOSSES[loss].settings)),
    }
)
MISSPELT = {
    "inputs": "input",
    "inptu": "input",
    "imput": "input",
    "Input": "input",
    "taget": "target",
    "TARGET": "target or targets",
    "logit": "logits",
    "weights": "weight",
    "reducton": "reduction",
    "reductoin": "reduction",
    "gradients": "gradient",
    "gardient": "gradient",
    "dleta": "delta",
    "gradeint": "gradient",
    "marign": "margin",
    "lable_smoothing": "label_smoothing",
    "labelSmoothing": "label_smoothing",
    "sample_weights": "sample_weight",
    "sampleWeight": "sample_weight",
    "checkfinite": "check_finite",
    "maskk": "mask",
    "hesian": "hessian",
    "label": "labels",
    "quantile": "quantiles",
    "pos-weight": "pos_weight",
    "axsi": "axis",
    "smoth": "smooth",
}
MEANT_OTHERWISE = [
    "predictions",
    "prediction",
    "y_true",
    "y_pred",
    "dim",
    "x",
    "q",
    "",
    "reductionreduction",
    "a" * 1000,
]


@pytest.mark.parametrize("name", MISSPELT)
def test_a_misspelt_name_gets_the_one_that_was_meant(name):
    assert did_you_mean(name, KNOWN) == f"; did you mean {MISSPELT[name]}?"


@pytest.mark.parametrize("name", MEANT_OTHERWISE)
def test_a_name_from_elsewhere_gets_none(name):
    assert did_you_mean(name, KNOWN) == ""


def test_a_name_is_told_once():
    assert did_you_mean("axi", ["axis", "axis"]) == "; did you mean axis?"


def test_no_known_name_is_taken_for_another():
    pairs = {
        (one, other)
        for one in KNOWN
        for other in KNOWN
        if one != other and other in did_you_mean(one, [other])
    }
    assert pairs == {("target", "targets"), ("targets", "target")}
