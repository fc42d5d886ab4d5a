"""Losses of each item of a batch against the rest, by its row of cosines."""

from __future__ import annotations

import numpy as np

from lossd.declaration.alias import Alias
from lossd.declaration.denominator import Denominator
from lossd.declaration.edge import Edge
from lossd.declaration.example import Example
from lossd.declaration.families import RowLoss, pair_loss
from lossd.declaration.picture import plane
from lossd.declaration.result import Normalizer
from lossd.declaration.roles import Temperature
from lossd.message import Array
from lossd.numerics.stable import softmax


def has_positives(labels: Array) -> Normalizer:
    """Divide means by the number of items that have a positive."""
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return Normalizer((counts[inverse.reshape(-1)] > 1).astype(np.float64))


@pair_loss(
    aliases=(
        Alias(
            "SupConLoss",
            "pytorch-metric-learning",
            "There a batch of one label has no loss, and the mean leaves out losses that are exactly 0.",
        ),
    ),
    formula=(
        r"\ell_i = \frac{1}{|P_i|} \sum_{j \in P_i} \log \textstyle\sum_{k \ne i} e^{(c_{ik} - c_{ij}) "
        r"/ \tau}"
    ),
    where=(r"c_{ij} = \cos(x_i, x_j)",),
    source="Khosla et al. (2020), Supervised Contrastive Learning; pytorch_metric_learning.losses.SupConLoss",
    example=Example(
        embeddings=[[3.0, 0.0], [4.0, 3.0], [1.5, 2.0], [0.0, 2.0], [-3.0, 4.0], [-2.0, -1.5]],
        labels=[0, 0, 0, 1, 1, 1],
        temperature=1.0,
        value=[
            1.0993638705215165,
            1.2028402150755377,
            1.3441016293625854,
            1.9569418479850496,
            1.4078759608903841,
            1.3112055343845603,
        ],
    ),
    normalizer=has_positives,
    picture=plane("embeddings", at=(2, 0), rays=True),
    denominator=Denominator("item with a positive"),
    edges=(
        Edge(
            "degenerate",
            "a vector of zeros",
            0.0,
            {"embeddings": [[3.0, 0.0], [4.0, 3.0], [0.0, 0.0], [0.0, 2.0], [-3.0, 4.0], [-2.0, -1.5]]},
        ),
        Edge("degenerate", "an item without a positive", given={"labels": [0, 0, 1, 2, 2, 2]}),
    ),
)
def supcon(
    cosines: Array,
    same: Array,
    other: Array,
    *,
    temperature: Temperature = 0.1,
) -> RowLoss:
    """Each item should be more like those of its own label P than like all other items of the batch.

    An item's loss is the mean over its positives of minus the logarithm of the positive's share in a softmax over all
    others of the cosines over ``temperature``. The mean is over the items that have a positive; others have no loss.
    A batch of a single label has a loss too, as in the paper; pytorch-metric-learning has 0 there. A share in a softmax
    below the type's smallest number is 0, also where derivatives would divide it by the length of a short vector.
    Second derivatives of nearly equal vectors have fewer digits.

    Use: Embeddings from labelled batches, as a first stage before a classifier.
    Avoid: Batches in which most labels occur once: such items have no loss.

    Settings:
        temperature: What the cosines are divided by: the lower, the more the nearest items count.
    """
    # The type's smallest number, if it has none for the temperature: what is equal stays equal.
    tau = max(cosines.dtype.type(temperature), np.finfo(cosines.dtype).smallest_subnormal)
    present: Array = same | other
    behind = np.where(present, cosines, -np.inf) / tau
    found = softmax(behind)
    positives = np.maximum(same.sum(axis=1), 1).astype(cosines.dtype)
    paired: Array = np.any(same, axis=1, keepdims=True)
    share = np.where(present & paired, found.probability, 0)

    def slopes() -> Array:
        """Return ``s - 1 / |P|`` of positives and s of negatives, times the temperature.

        With S the sum of the negatives' s, ``s - 1 / |P|`` is s less the mean of the positives' s, less ``S / |P|``.
        The former are differences from the largest of them: ``s = s_top (1 + expm1(x - x_top))``.
        """
        of_negatives = np.where(other, share, 0)
        rest = of_negatives.sum(axis=1, keepdims=True) / positives[:, None]
        first = np.where(same, behind, -np.inf).max(axis=1, keepdims=True)
        less = np.where(same, np.expm1(behind - np.where(np.isneginf(first), 0, first)), 0)
        spread = less - less.sum(axis=1, keepdims=True) / positives[:, None]
        largest = np.where(same, share, 0).max(axis=1, keepdims=True)
        slope: Array = np.where(same, largest * spread - rest, of_negatives)
        return slope

    def of_temperature() -> Array:
        slope: Array = -np.where(present, slopes() * behind, 0).sum(axis=1) / temperature
        return slope

    return RowLoss(
        np.where(same, 0 - found.log, 0).sum(axis=1) / positives,
        lambda: slopes() / tau,
        {"temperature": of_temperature},
    )
