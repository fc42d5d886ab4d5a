"""Learn to read handwritten digits with plain NumPy: every loss and gradient comes from the service.

Softmax regression on the 1797 images of 8x8 pixels that scikit-learn bundles: each class scores a weighted
sum of the pixels. Three of every four images train it by gradient descent in small batches; the fourth,
never trained on, judges it. Needs scikit-learn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from lossd_server import post
from progress import show_progress

CLASSES = 10
EPOCHS = 20
BATCH = 32
LEARNING_RATE = 0.5
DECAY = 0.93
ACCURACY = 0.95

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


def main() -> None:
    images, labels = digits()
    held_out = np.arange(len(labels)) % 4 == 0
    order = np.random.default_rng(0)
    weights = np.zeros((images.shape[1], CLASSES))
    for epoch in range(EPOCHS):
        learning_rate = LEARNING_RATE * DECAY**epoch
        loss = train_epoch(weights, images[~held_out], labels[~held_out], learning_rate, order)
        reached = accuracy(weights, images[held_out], labels[held_out])
        show_progress(epoch + 1, EPOCHS, f"training loss {loss:.4f}  held-out accuracy {reached:.4f}")
    print(f"held-out accuracy {reached:.4f} on {held_out.sum()} images")
    assert reached >= ACCURACY, reached


def digits() -> tuple[Array, Labels]:
    """Return images, as rows of pixels in [0, 1] and a constant 1 for the intercept, and what they show."""
    pixels, labels = load_digits(return_X_y=True)
    return np.column_stack([pixels / 16, np.ones(len(pixels))]), labels


def train_epoch(
    weights: Array, images: Array, labels: Labels, learning_rate: float, order: np.random.Generator
) -> float:
    """Visit every image once, improving ``weights`` in place; return the mean loss met on the way."""
    total = 0.0
    shuffled = order.permutation(len(labels))
    for start in range(0, len(labels), BATCH):
        batch = shuffled[start : start + BATCH]
        answer = post("cross_entropy", input=images[batch] @ weights, target=labels[batch], gradient=True)
        total += answer["loss"]["mean"] * answer["count"]
        # The service differentiates as far as the scores; from there to the weights, the client.
        gradient = np.array(answer["gradient"]["mean"]["input"])
        weights -= learning_rate * images[batch].T @ gradient
    return total / len(labels)


def accuracy(weights: Array, images: Array, labels: Labels) -> float:
    return float(np.mean((images @ weights).argmax(axis=1) == labels))


if __name__ == "__main__":
    main()
