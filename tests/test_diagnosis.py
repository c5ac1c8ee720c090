"""Networks with known trouble, and bad input: the verdicts, the numbers they stand on, the formats."""

import json
import struct
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from rnn_notes import (
    GRU,
    LSTM,
    RNN,
    VERDICTS,
    diagnose,
    framework_default,
    random_normal,
    random_orthogonal,
)

# Networks with known trouble. Each function draws weights of H units for 3 inputs.


def plain(W_h, rng, activation="tanh", scale_x=0.1, bias=0.0, dtype=np.float64):
    H = len(W_h)
    W_x = scale_x * rng.normal(size=(H, 3))
    return RNN(W_x.astype(dtype), W_h.astype(dtype), np.full(H, bias, dtype), activation)


def normal(H, rng, g):
    return random_normal(H, rng, std=g / H**0.5)


def orthogonal(H, rng, scale=1.0):
    return scale * random_orthogonal(H, rng)


def upper(H, rng, diagonal, above):
    return diagonal * np.eye(H) + above * np.eye(H, k=1)


def lstm(H, rng, scale=0.1, scale_x=0.1, **biases):
    """Gates of small weights; i, f, g and o are biases, 0 if not given."""
    b = np.concatenate([np.full(H, float(biases.get(gate, 0))) for gate in "ifgo"])
    return LSTM(scale_x * rng.normal(size=(4 * H, 3)), scale * rng.normal(size=(4 * H, H)) / H**0.5, b)


def gru(H, rng, scale=0.1, scale_x=0.1, **biases):
    b = np.concatenate([np.full(H, float(biases.get(gate, 0))) for gate in "rzn"])
    W_x = scale_x * rng.normal(size=(3 * H, 3))
    return GRU(W_x, scale * rng.normal(size=(3 * H, H)) / H**0.5, b, np.zeros(H))


def candidate(H, rng, factor):
    """An LSTM whose candidate feeds back on its own cell."""
    network = lstm(H, rng, scale=0.0)
    network.W_h[2 * H : 3 * H] = factor * np.eye(H)
    return network


def torch_names(cell, layer, reverse=False):
    """A cell's arrays by PyTorch's names, everything of the bias in the first of two."""
    end = f"_l{layer}" + "_reverse" * reverse
    arrays = {f"weight_ih{end}": cell.W_x, f"weight_hh{end}": cell.W_h, f"bias_ih{end}": cell.b}
    return arrays | {f"bias_hh{end}": np.zeros_like(cell.b)}


def forget_bias_twice(H, rng, b):
    weights = torch_names(lstm(H, rng, f=b), 0)
    weights["bias_hh_l0"][H : 2 * H] = b
    return weights


def three_layers(H, rng, bad):
    cells = [plain(orthogonal(H, rng), rng, scale_x=0.02) for _ in range(3)]
    for layer in (1, 2):
        cells[layer].W_x = 0.02 * rng.normal(size=(H, H)) / H**0.5
    cells[bad].W_h = 0.3 * cells[bad].W_h
    return {name: array for layer, cell in enumerate(cells) for name, array in torch_names(cell, layer).items()}


def two_directions(H, rng):
    good, bad = lstm(H, rng, f=7), lstm(H, rng, f=-3)
    return torch_names(good, 0) | torch_names(bad, 0, reverse=True)


def rest(H, rng):
    return np.zeros((100, 2, 3))


def ones(H, rng):
    return np.ones((100, 2, 3))


# name: (the network, its sizes, the verdict, and where more than one finding must be told apart, more)
TROUBLE = {
    "small weights": (lambda H, rng: plain(normal(H, rng, 0.5), rng), (4, 32, 512), "vanishing"),
    "one unit below 1": (lambda H, rng: plain(np.array([[0.8]]), rng), (1,), "vanishing"),
    "orthogonal times 0.8": (lambda H, rng: plain(orthogonal(H, rng, 0.8), rng), (1, 20, 128), "vanishing"),
    "zeros": (lambda H, rng: plain(np.zeros((H, H)), rng, scale_x=0.0), (1, 16), "vanishing"),
    "identity times 0.9, relu": (
        lambda H, rng: plain(0.9 * np.eye(H), rng, "relu", bias=0.5),
        (2, 64),
        "vanishing",
    ),
    "PyTorch's default": (
        lambda H, rng: framework_default("pytorch", 3, H, rng),
        (8, 64),
        "vanishing",
    ),
    "sigmoid, orthogonal": (lambda H, rng: plain(orthogonal(H, rng), rng, "sigmoid"), (1, 30), "vanishing"),
    "linear, above 1": (lambda H, rng: plain(orthogonal(H, rng, 1.3), rng, "identity"), (1, 16, 128), "exploding"),
    "linear, normal": (lambda H, rng: plain(normal(H, rng, 2.0), rng, "identity"), (16, 100), "exploding"),
    "relu, positive": (
        lambda H, rng: plain(2.0 * np.eye(H), rng, "relu", bias=0.5),
        (1, 32),
        "exploding",
    ),
    "tanh at rest": (lambda H, rng: plain(orthogonal(H, rng, 1.5), rng), (1, 2, 32), "exploding", rest),
    "LSTM at rest, candidate": (lambda H, rng: candidate(H, rng, 4.0), (1, 8, 80), "exploding", rest),
    "one unit in saturation": (lambda H, rng: plain(np.array([[4.0]]), rng, bias=3.0), (1,), "saturated"),
    "large input weights": (lambda H, rng: plain(orthogonal(H, rng), rng, scale_x=50.0), (1, 10, 100), "saturated"),
    "large biases": (lambda H, rng: plain(orthogonal(H, rng), rng, bias=5.0), (2, 64), "saturated"),
    "sigmoid in saturation": (
        lambda H, rng: plain(orthogonal(H, rng), rng, "sigmoid", bias=9.0),
        (2, 40),
        "saturated",
    ),
    "dead relu": (lambda H, rng: plain(orthogonal(H, rng), rng, "relu", bias=-3.0), (1, 10, 100), "dead units"),
    "two thirds dead": (
        lambda H, rng: RNN(
            0.1 * rng.normal(size=(H, 3)), 0.9 * np.eye(H), np.where(np.arange(H) % 3, -2.0, 0.5), "relu"
        ),
        (12, 60),
        "dead units",
    ),
    "shear below 1": (lambda H, rng: plain(upper(H, rng, 0.5, 1.0), rng, "identity"), (8, 32), "transient growth"),
    "two units, shear": (
        lambda H, rng: plain(np.array([[0.7, 100.0], [0.0, 0.7]]), rng, "identity"),
        (2,),
        "transient growth",
    ),
    "shear, tanh": (
        lambda H, rng: plain(upper(H, rng, 0.5, 1.0), rng, scale_x=0.001),
        (12, 40),
        "transient growth",
    ),
    "chaos": (lambda H, rng: plain(normal(H, rng, 3.0), rng), (100, 256), "chaotic"),
    "N(0, 1)": (lambda H, rng: plain(random_normal(H, rng), rng), (100,), "chaotic"),
    "LSTM, large weights": (lambda H, rng: lstm(H, rng, scale=12.0), (64, 128), "chaotic"),
    "LSTM, default": (
        lambda H, rng: framework_default("pytorch", 3, H, rng, gates=4),
        (1, 32, 512),
        "forgets",
    ),
    "LSTM, closed": (lambda H, rng: lstm(H, rng, f=-5), (1, 16, 100), "forgets"),
    "LSTM, zeros": (lambda H, rng: lstm(H, rng, scale=0.0), (1, 16), "forgets"),
    "LSTM, forget bias 1 twice": (lambda H, rng: forget_bias_twice(H, rng, 1.0), (8, 40), "forgets"),
    "GRU, closed": (lambda H, rng: gru(H, rng, z=-5), (1, 16, 100), "forgets"),
    "GRU, zeros": (lambda H, rng: gru(H, rng, scale=0.0), (1, 16), "forgets"),
    "GRU, stuck open": (lambda H, rng: gru(H, rng, z=9), (1, 16, 100), "saturated"),
    "LSTM, input shut": (lambda H, rng: lstm(H, rng, f=7, i=-9), (1, 30), "saturated"),
    "LSTM, output shut": (lambda H, rng: lstm(H, rng, f=7, o=-9), (1, 30), "saturated"),
    "LSTM, cell in saturation": (lambda H, rng: lstm(H, rng, f=9, g=3), (1, 30), "saturated", ones),
    "float32 overflow": (
        lambda H, rng: plain(orthogonal(H, rng, 30.0), rng, "identity", dtype=np.float32),
        (1, 16),
        "not finite",
    ),
    "a NaN": (
        lambda H, rng: {"W_x": np.ones((H, 3)), "W_h": np.full((H, H), np.nan), "b": np.zeros(H)},
        (1, 16),
        "not finite",
    ),
    "orthogonal, linear": (lambda H, rng: plain(orthogonal(H, rng), rng, "identity"), (1, 2, 32, 128), "healthy"),
    "orthogonal, small input": (lambda H, rng: plain(orthogonal(H, rng), rng, scale_x=0.02), (4, 32), "healthy"),
    "identity start, relu": (
        lambda H, rng: plain(np.eye(H), rng, "relu", scale_x=0.01, bias=0.1),
        (1, 16, 100),
        "healthy",
    ),
    "LSTM, open": (lambda H, rng: lstm(H, rng, f=5), (1, 16, 100), "healthy"),
    "GRU, open": (lambda H, rng: gru(H, rng, z=4), (1, 16, 100), "healthy"),
    "bad layer of three": (lambda H, rng: three_layers(H, rng, 1), (8, 30), "vanishing"),
    "bad direction of two": (two_directions, (4, 30), "forgets"),
}
CASES = [(name, H) for name, (_, sizes, *_) in TROUBLE.items() for H in sizes]


def report_on(name, H, seed):
    make, _, verdict, *x = TROUBLE[name]
    rng = np.random.default_rng(seed)
    network = make(H, rng)
    return diagnose(network, *(draw(H, rng) for draw in x)), verdict


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("name", "H"), CASES)
def test_known_trouble_has_its_name(name, H, seed):
    report, verdict = report_on(name, H, seed)
    assert report.verdict == verdict, f"{report}"
