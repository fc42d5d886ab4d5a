"""Losses of margins, vectors and boxes beside other libraries, where these are not right, or not by an alias."""

from __future__ import annotations

from math import radians

import numpy as np
import pytest

from lossd.errors import InvalidCall
from tests.oracle.test_references import run

EMBEDDINGS = [
    [1.0, 0.5, -0.25],
    [2.0, 0.0, 1.0],
    [-1.0, 3.0, 0.5],
    [0.25, -1.0, 2.0],
    [-2.0, 2.5, 0.0],
    [0.5, 0.5, -1.0],
]
PROTOTYPES = [[1.0, 0.0, 0.5], [-0.5, 1.0, 0.0], [0.0, 0.5, -1.0]]
LABELS = [0, 0, 1, 2, 1, 0]


@pytest.mark.parametrize(
    ("margin", "scale", "value", "gradient", "by_prototypes"),
    [
        (28.6, 64.0, 34.78819369071626, -6.851742879400409, 2.4979868134596597),
        # The last vector's angle and the margin are more than a half turn.
        (57.29577951308232, 4.0, 3.4303435317141813, -0.41251779714325426, 0.5017367307051199),
    ],
)
def test_arcface_is_that_of_pytorch_metric_learning(margin, scale, value, gradient, by_prototypes):
    """Version 2.9.0, ArcFaceLoss(3, 3, margin=margin, scale=scale) with W of these columns; margins in degrees."""
    given = {"embeddings": EMBEDDINGS, "labels": LABELS, "prototypes": PROTOTYPES}
    options = {"margin": radians(margin), "scale": scale, "reduction": "mean", "gradient": True}
    got, by, _ = run("arcface", **given, **options)
    # It keeps cosines away from 1, and so changes the tenth digit.
    np.testing.assert_allclose(got, value, rtol=1e-9)
    np.testing.assert_allclose(by["embeddings"][0, 0], gradient, rtol=1e-8)
    np.testing.assert_allclose(by["prototypes"][2, 1], by_prototypes, rtol=1e-8)


@pytest.mark.parametrize("name", ["multi_margin", "multilabel_margin"])
def test_an_empty_batch_is_a_mean_over_nothing(name):
    """PyTorch returns memory that nothing was written to."""
    target = np.zeros(0, int) if name == "multi_margin" else np.zeros((0, 3), int)
    given = {"input": np.zeros((0, 3)), "target": target}
    with pytest.raises(InvalidCall, match=r"over no elements"):
        run(name, reduction="mean", **given)
    got, _, _ = run(name, reduction="mean", empty="zero", **given)
    assert got == 0


def test_kinks_pass_no_gradient_in_margins_of_classes():
    _, by, _ = run("multi_margin", input=[[1.0, 0.0]], target=[0], gradient=True)
    assert not by["input"].any()
    _, by, _ = run("multilabel_margin", input=[[1.0, 0.0]], target=[[0, -1]], gradient=True)
    assert not by["input"].any()


def test_kinks_pass_the_full_gradient_in_cosine_embedding_and_triplets():
    arrays = {"input1": [[3.0, 0.0]], "input2": [[0.0, 2.0]], "target": [-1.0]}
    _, by, _ = run("cosine_embedding", gradient=["input1", "margin"], **arrays)
    assert by["margin"] == -1
    np.testing.assert_allclose(by["input1"], [[0, 1 / 3]], rtol=1e-15)
    arrays = {"anchor": [[0.0]], "positive": [[1.0]], "negative": [[2.0]]}
    for distance in ("manhattan", "squared"):
        margin = 1.0 if distance == "manhattan" else 3.0
        given = {"distance": distance, "margin": margin, "gradient": True}
        _, by, _ = run("triplet_margin_with_distance", **arrays, **given)
        assert by["positive"][0, 0] > 0


@pytest.mark.parametrize("length", [1e-30, 1e-6, 1e-3, 1.0, 1e30])
def test_the_length_of_vectors_does_not_change_their_cosine(length):
    """PyTorch adds 1e-12 to squares: vectors at right angles to the margin have a loss of 1 - 5e-13 / length^2."""
    arrays = {"input1": [[3 * length, 4 * length]], "input2": [[4 * length, 3 * length]], "target": [1.0]}
    got, by, _ = run("cosine_embedding", gradient=True, **arrays)
    np.testing.assert_allclose(got, [0.04], rtol=1e-14)
    np.testing.assert_allclose(by["input1"] * length, [[-0.0448, 0.0336]], rtol=1e-13)


@pytest.mark.parametrize("loss", ["cosine_embedding", "arcface", "supcon", "nt_xent"])
def test_a_vector_of_zeros_has_a_cosine_of_0_and_no_gradient(loss):
    vectors = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    given = {"embeddings": vectors, "labels": [0, 0, 1, 1]}
    if loss == "cosine_embedding":
        given = {"input1": vectors, "input2": vectors[::-1].copy(), "target": [1.0, 1.0, -1.0, -1.0]}
    elif loss == "arcface":
        given["prototypes"] = np.eye(2)
    got, by, _ = run(loss, gradient=True, **given)
    assert np.isfinite(got).all()
    first = by.get("embeddings", by.get("input1"))
    assert np.isfinite(first).all()
    assert not first[0].any()


def test_a_cosine_embedding_of_a_vector_of_zeros_is_pytorchs():
    got, _, _ = run("cosine_embedding", input1=[[0.0, 0.0]] * 2, input2=[[1.0, 2.0]] * 2, target=[1.0, -1.0])
    np.testing.assert_array_equal(got, [1.0, 0.0])


def test_a_dimension_in_which_all_items_are_equal_correlates_with_nothing():
    """By hand: the first dimension costs 1; the second correlates perfectly. 0.1 has no exact mean in binary."""
    z = np.array([[0.1, 1.0], [0.1, 2.0], [0.1, 4.0]])
    got, by, _ = run("barlow_twins", z1=z, z2=z, gradient=True)
    np.testing.assert_allclose(got, 1.0, rtol=1e-15)
    assert not by["z1"][:, 0].any()


def test_a_mask_takes_items_out_of_a_loss_of_a_whole_batch():
    rng = np.random.default_rng(2)
    z1, z2 = rng.standard_normal((2, 6, 3))
    kept = np.array([True, True, False, True, True, False])
    got, by, answer = run("barlow_twins", reduction="mean", z1=z1, z2=z2, mask=kept, gradient=True)
    alone, by_alone, _ = run("barlow_twins", reduction="mean", z1=z1[kept], z2=z2[kept], gradient=True)
    np.testing.assert_allclose(got, alone, rtol=1e-15)
    np.testing.assert_allclose(by["z1"][kept], by_alone["z1"], rtol=1e-12)
    assert not by["z1"][~kept].any()
    assert answer.count == 1
