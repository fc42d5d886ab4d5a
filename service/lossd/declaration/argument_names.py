"""What other frameworks call arguments of losses: which one of ours a caller meant by ``y_true`` or ``logits``.

A name is only here if it means one thing wherever it is used. What ``input`` holds differs between losses: logits,
probabilities or their logarithms. So names that say which are only offered where its role says the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from lossd.declaration.loss import Loss
from lossd.declaration.role import Quantity

_TRUTHS = {"y_true", "y", "label", "labels", "truth", "ground_truth", "gt", "targets", "expected", "actual"}
_PREDICTIONS = {
    "y_pred",
    "y_hat",
    "yhat",
    "pred",
    "preds",
    "prediction",
    "predictions",
    "predicted",
    "output",
}
_PREDICTIONS |= {"outputs", "model_output"}
_SCORES = {"logits", "logit", "scores", "score", "y_score", "pred_decision", "decision_function"}
_PROBABILITIES = {"probs", "prob", "probabilities", "probability", "y_prob", "y_proba"}
_LOGARITHMS = {"log_probs", "log_prob", "log_probabilities", "log_predictions", "logprobs"}
# What the true classes of a sequence or of a batch of vectors are called here.
_CLASSES = ("targets", "tags", "labels")
_LONGEST = max(map(len, {*_TRUTHS, *_PREDICTIONS, *_SCORES, *_PROBABILITIES, *_LOGARITHMS}))
# What `input` holds to what it is called elsewhere.
_NAMES_OF_INPUT: Mapping[Quantity, set[str]] = {
    "number": _PREDICTIONS,
    "score": _SCORES | _PREDICTIONS,
    "probability": _PROBABILITIES | _PREDICTIONS,
    "log_probability": _LOGARITHMS,
}


def meant(loss: Loss, name: str, given: Collection[str]) -> str | None:
    """Return the argument of a loss that another framework calls ``name``; None if unsure or if it is given."""
    if len(name) > _LONGEST:
        return None
    word = name.casefold()
    if {"input", "target"} <= loss.by_name.keys():
        of_input = _NAMES_OF_INPUT[loss.by_name["input"].role.quantity]
        found = "target" if word in _TRUTHS else "input" if word in of_input else None
    else:
        found = next((own for own in _CLASSES if own in loss.by_name), None) if word in _TRUTHS else None
    return None if found in given else found
