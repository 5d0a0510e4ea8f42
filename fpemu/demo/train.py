"""Train the demo's network and store it with its data: ``python -m fpemu.demo.train [digits.npz]``.

A perceptron of 64 - 64 - 32 - 10 units with ReLU, trained by minibatch gradient descent with momentum, in numpy alone.
Nothing is tuned for any number format.  README.md describes the origin of the images.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpemu.files.atomic import replacing

DATA = Path(__file__).with_name("digits.npz")

SEED = 0
SIZES = (64, 64, 32, 10)
TRAINING_IMAGES = 1000  # the other 797 are for testing
EPOCHS, BATCH, RATE, MOMENTUM = 40, 20, 0.05, 0.9

Matrices = list[NDArray[np.float64]]


def split(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The indices of the training and of the test images, shuffled."""
    order = np.random.default_rng(SEED).permutation(count)
    return order[:TRAINING_IMAGES], order[TRAINING_IMAGES:]


def train(images: NDArray[np.float64], labels: NDArray[np.uint8]) -> tuple[Matrices, Matrices]:
    """Train on images, with pixels from 0 to 1, and their digits; return each layer's weights and biases."""
    rng = np.random.default_rng(SEED)
    weights = [rng.standard_normal((n, m)) * np.sqrt(2 / n) for n, m in itertools.pairwise(SIZES)]
    biases = [np.zeros(m) for m in SIZES[1:]]
    parameters = weights + biases
    velocities = [np.zeros_like(p) for p in parameters]
    for epoch in range(EPOCHS):
        rate = RATE * 0.5 * (1 + np.cos(np.pi * epoch / EPOCHS))
        for batch in rng.permutation(len(images)).reshape(-1, BATCH):
            gradients = _gradients(images[batch], labels[batch], weights, biases)
            for parameter, velocity, gradient in zip(parameters, velocities, gradients, strict=True):
                velocity *= MOMENTUM
                velocity -= rate * gradient
                parameter += velocity
    return weights, biases


def _gradients(x: NDArray[np.float64], labels: NDArray[np.uint8], weights: Matrices, biases: Matrices) -> Matrices:
    """The gradients of the mean cross-entropy: by each weight matrix, then by each bias."""
    inputs = [x]
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        inputs.append(np.maximum(inputs[-1] @ weight + bias, 0))
    logits = inputs[-1] @ weights[-1] + biases[-1]
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    error = exponentials / exponentials.sum(axis=1, keepdims=True)
    error[np.arange(len(x)), labels] -= 1
    error /= len(x)
    by_weight, by_bias = [], []
    for layer in reversed(range(len(weights))):
        by_weight.append(inputs[layer].T @ error)
        by_bias.append(error.sum(axis=0))
        error = (error @ weights[layer].T) * (inputs[layer] > 0)
    return by_weight[::-1] + by_bias[::-1]


def train_and_save(path: Path) -> None:
    """Train on the images in a file, and add the parameters to it as float32."""
    with np.load(path) as data:
        images, labels = data["images"], data["labels"]
    training, test = split(len(images))
    weights, biases = train(images[training] / 16, labels[training])
    parameters = {f"weight{i}": w.astype(np.float32) for i, w in enumerate(weights)}
    parameters |= {f"bias{i}": b.astype(np.float32) for i, b in enumerate(biases)}
    arrays = {"images": images, "labels": labels, "test": test.astype(np.uint16)} | parameters
    with replacing(path) as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


if __name__ == "__main__":
    train_and_save(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
