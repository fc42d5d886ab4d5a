"""Grow LightGBM's trees on derivatives that come from lossd, and find the library's own trees again.

Gradient boosting asks a custom objective for the gradient and the Hessian's diagonal of the summed loss, one of
each per row: `convention="gbm"` gives both in one call, scaled as the libraries scale their own. Each objective
here is also built into LightGBM, so that the two models can be laid side by side: the same features and rows at
every split, the same value in every leaf. Needs lossd[client], lightgbm and scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import lightgbm
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes

from lossd.client import LossClient
from progress import show_progress

TREES = 50
SETTINGS = {
    "learning_rate": 0.1,
    "num_leaves": 15,
    "boost_from_average": False,  # a custom objective starts from 0, so the built-in one must, too
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}

Array = NDArray[np.float64]
Objective = Callable[[Array, lightgbm.Dataset], tuple[Array, Array]]


class Case(NamedTuple):
    """An objective that both have: LightGBM's name for it, lossd's, and data to fit."""

    built_in: str
    loss: str
    settings: dict[str, float]
    data: Callable[..., Any]


CASES = [
    Case("regression", "mse", {}, load_diabetes),
    Case("binary", "bce_with_logits", {}, load_breast_cancer),
    Case("huber", "huber", {"delta": 40.0}, load_diabetes),
]


def main() -> None:
    with LossClient() as client:
        for case in CASES:
            features, target = case.data(return_X_y=True)
            # LightGBM calls the delta of huber alpha.
            built_in = {"objective": case.built_in, "alpha": case.settings.get("delta", 1.0)}
            theirs = train(features, target, built_in)
            ours = train(features, target, {"objective": served(client, case)})
            report(case, ours, theirs)


def served(client: LossClient, case: Case) -> Objective:
    """Return the objective as LightGBM calls it: raw predictions in, gradient and Hessian out."""
    calls = 0

    def objective(predictions: Array, data: lightgbm.Dataset) -> tuple[Array, Array]:
        nonlocal calls
        calls += 1
        result = client.evaluate(
            case.loss, input=predictions, target=data.get_label(), convention="gbm", **case.settings
        )
        show_progress(calls, TREES, f"{case.loss}: loss {result.value / result.count:.6f}")
        return result.gradient["input"], result.hessian["input"]

    return objective


def train(features: Array, target: Array, objective: dict[str, Any]) -> lightgbm.Booster:
    return lightgbm.train(SETTINGS | objective, lightgbm.Dataset(features, target), num_boost_round=TREES)


def report(case: Case, ours: lightgbm.Booster, theirs: lightgbm.Booster) -> None:
    """Compare two models tree by tree, node by node."""
    our_nodes, their_nodes = list(nodes(ours)), list(nodes(theirs))
    same = [node.split for node in our_nodes] == [node.split for node in their_nodes]
    assert same, f"expected the trees of {case.built_in}, got others"
    our_leaves = [node.value for node in our_nodes if not node.split]
    their_leaves = [node.value for node in their_nodes if not node.split]
    difference = np.abs(np.subtract(our_leaves, their_leaves)).max() / np.abs(their_leaves).max()
    splits = len(our_nodes) - len(our_leaves)
    print(
        f"{case.loss}: {ours.num_trees()} trees, {splits} splits as those of LightGBM's {case.built_in}, "
        f"{len(our_leaves)} leaves within {difference:.1e}"
    )
    assert difference < 1e-6


class Node(NamedTuple):
    """A node of a tree: the feature, threshold and rows of a split, or the value of a leaf."""

    split: tuple[Any, ...]
    value: float


def nodes(model: lightgbm.Booster) -> Iterator[Node]:
    """Walk every tree of a model, from the root to the leaves."""
    waiting = [tree["tree_structure"] for tree in reversed(model.dump_model()["tree_info"])]
    while waiting:
        node = waiting.pop()
        if "leaf_value" in node:
            yield Node((), node["leaf_value"])
            continue
        yield Node((node["split_feature"], node["threshold"], node["internal_count"]), 0.0)
        waiting += [node["right_child"], node["left_child"]]


if __name__ == "__main__":
    main()
