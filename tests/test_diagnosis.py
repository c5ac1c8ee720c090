"""Networks with known trouble, and bad input: the verdicts, the numbers they stand on, the formats."""

import io
import json
import os
import re
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rnn_notes import (
    GRU,
    LSTM,
    RNN,
    VERDICTS,
    diagnose,
    figures,
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
    return {
        name: array for layer, cell in enumerate(cells) for name, array in torch_names(cell, layer).items()
    }


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
    "linear, above 1": (
        lambda H, rng: plain(orthogonal(H, rng, 1.3), rng, "identity"),
        (1, 16, 128),
        "exploding",
    ),
    "linear, normal": (lambda H, rng: plain(normal(H, rng, 2.0), rng, "identity"), (16, 100), "exploding"),
    "relu, positive": (
        lambda H, rng: plain(2.0 * np.eye(H), rng, "relu", bias=0.5),
        (1, 32),
        "exploding",
    ),
    "tanh at rest": (lambda H, rng: plain(orthogonal(H, rng, 1.5), rng), (1, 2, 32), "exploding", rest),
    "LSTM at rest, candidate": (lambda H, rng: candidate(H, rng, 4.0), (1, 8, 80), "exploding", rest),
    "one unit in saturation": (lambda H, rng: plain(np.array([[4.0]]), rng, bias=3.0), (1,), "saturated"),
    "large input weights": (
        lambda H, rng: plain(orthogonal(H, rng), rng, scale_x=50.0),
        (1, 10, 100),
        "saturated",
    ),
    "large biases": (lambda H, rng: plain(orthogonal(H, rng), rng, bias=5.0), (2, 64), "saturated"),
    "sigmoid in saturation": (
        lambda H, rng: plain(orthogonal(H, rng), rng, "sigmoid", bias=9.0),
        (2, 40),
        "saturated",
    ),
    "dead relu": (
        lambda H, rng: plain(orthogonal(H, rng), rng, "relu", bias=-3.0),
        (1, 10, 100),
        "dead units",
    ),
    "two thirds dead": (
        lambda H, rng: RNN(
            0.1 * rng.normal(size=(H, 3)), 0.9 * np.eye(H), np.where(np.arange(H) % 3, -2.0, 0.5), "relu"
        ),
        (12, 60),
        "dead units",
    ),
    "shear below 1": (
        lambda H, rng: plain(upper(H, rng, 0.5, 1.0), rng, "identity"),
        (8, 32),
        "transient growth",
    ),
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
    "orthogonal, linear": (
        lambda H, rng: plain(orthogonal(H, rng), rng, "identity"),
        (1, 2, 32, 128),
        "healthy",
    ),
    "orthogonal, small input": (
        lambda H, rng: plain(orthogonal(H, rng), rng, scale_x=0.02),
        (4, 32),
        "healthy",
    ),
    "identity start, relu": (
        lambda H, rng: plain(np.eye(H), rng, "relu", scale_x=0.01, bias=0.1),
        (1, 16, 100),
        "healthy",
    ),
    "LSTM, open": (lambda H, rng: lstm(H, rng, scale_x=0.02, f=5), (1, 16, 100), "healthy"),
    "GRU, open": (lambda H, rng: gru(H, rng, z=4), (1, 16, 100), "healthy"),
    "bad layer of three": (lambda H, rng: three_layers(H, rng, 1), (8, 30), "vanishing"),
    "bad direction of two": (two_directions, (4, 30), "forgets"),
}
CASES = [(name, H) for name, (_, sizes, *_) in TROUBLE.items() for H in sizes]


def report_on(name, H, seed, dtype=np.float64):
    make, _, verdict, *x = TROUBLE[name]
    rng = np.random.default_rng(seed)
    network = make(H, rng)
    network = in_float32(network) if dtype == np.float32 else network
    return diagnose(network, *(draw(H, rng) for draw in x)), verdict


def in_float32(network):
    if isinstance(network, dict):
        return {name: array.astype(np.float32) for name, array in network.items()}
    arrays = in_float32(network.parameters())
    return (
        RNN(**arrays, activation=network.activation) if isinstance(network, RNN) else type(network)(**arrays)
    )


def later(values, is_late):
    """Return the values as parameters, and leave to `make check` those for which `is_late` is true."""
    return [pytest.param(*v, marks=[pytest.mark.deep] if is_late(*v) else []) for v in values]


@pytest.mark.parametrize(
    ("name", "H", "seed"),
    later(
        [(name, H, seed) for name, H in CASES for seed in range(3 if H < 60 else 1)],
        lambda name, H, seed: seed > 0 or max(40, TROUBLE[name][1][0]) < H,
    ),
)
@pytest.mark.parametrize("dtype", [np.float64, pytest.param(np.float32, marks=pytest.mark.deep)])
def test_known_trouble_has_its_name(name, H, seed, dtype):
    report, verdict = report_on(name, H, seed, dtype)
    assert report.verdict == verdict, f"{report}"


def random_network(kind, H, rng, I=3):  # noqa: E741
    gates = {RNN: 1, GRU: 3, LSTM: 4}[kind]
    W_x, W_h = rng.normal(size=(gates * H, I)), 1.3 * rng.normal(size=(gates * H, H)) / H**0.5
    return kind(W_x, W_h, rng.normal(size=gates * H), *([rng.normal(size=H)] if kind is GRU else []))


KINDS = pytest.mark.parametrize("kind", [RNN, LSTM, GRU])


def test_doing_it_leads_to_no_new_trouble():
    rng = np.random.default_rng(0)
    for make in (lstm, gru):
        network, x = make(8, rng, scale_x=0.02, f=0, z=0), rng.normal(size=(600, 2, 3))
        report = diagnose(network, x)
        assert report.verdict == "forgets"
        network.b[8:16] = float(re.search(r"bias of the gate [fz] to ([\d.]+)", report.action)[1])
        assert diagnose(network, x).verdict == "healthy"


def test_what_grows_a_thousandfold_on_the_way_is_named():
    network = RNN(np.ones((2, 1)), np.array([[0.9, 300.0], [0.0, 0.9]]), np.zeros(2), "identity")
    report = diagnose(network, np.zeros((20, 1, 1)))
    best = report.measurements[0].best
    assert best.max() > 3 > best[-1] > best.max() - 1
    assert report.verdict == "exploding"


def test_chaos_that_dips_at_the_end_is_chaos():
    rng = np.random.default_rng(0)
    network, x = plain(normal(100, rng, 3.0), rng), 0.1 * rng.normal(size=(100, 1, 3))
    x[:8] += 200.0  # the first states are saturated
    report = diagnose(network, x)
    best = report.measurements[0].best
    assert best.max() - 1 > best[-1] > 3
    assert best[-1] < best[75]
    assert report.verdict == "chaotic"


def test_an_explosion_that_the_first_steps_hide_is_one():
    x = np.ones((100, 1, 1))
    x[:3] = -9.0  # the unit is shut, and no gradient gets to the states before
    report = diagnose(RNN(np.ones((1, 1)), np.array([[1.3]]), np.zeros(1), "relu"), x)
    assert report.measurements[0].best[-1] == -np.inf
    assert report.verdict == "exploding"


def test_a_sigmoid_at_zero_is_saturated_and_not_dead():
    assert diagnose(plain(np.eye(4), np.random.default_rng(0), "sigmoid", bias=-800.0)).verdict == "saturated"


def test_a_gru_whose_candidates_are_saturated():
    rng = np.random.default_rng(0)
    report = diagnose(gru(6, rng, scale_x=0.1, z=3, n=9))
    assert report.verdict == "saturated"
    assert "set the biases nearer to 0 (in the mean, in the rows of n, b has size 9)" in report.action


def test_what_is_worst_on_one_input_is_said_of_that():
    rng = np.random.default_rng(0)
    network = plain(orthogonal(20, rng), rng, scale_x=1.0)
    report = diagnose(network)
    (finding,) = report.findings
    size = {m.input: -m.typical[-1] for m in report.measurements}
    assert finding.inputs[0] == max(finding.inputs, key=size.get)
    assert finding.size == size[finding.inputs[0]]


@pytest.mark.parametrize("seed", range(40))
def test_the_verdict_never_contradicts_the_measurements(seed):
    rng = np.random.default_rng(seed)
    H, scale, scale_x = int(rng.choice([1, 2, 3, 9])), 10 ** rng.uniform(-1.5, 1.5), 10 ** rng.uniform(-2, 2)
    kind, b = rng.integers(3), rng.normal(size=4) * rng.choice([0, 1, 5])
    if kind == 0:
        phi = str(rng.choice(["tanh", "sigmoid", "relu", "identity"]))
        network = plain(normal(H, rng, scale), rng, phi, scale_x, b[0])
    elif kind == 1:
        network = lstm(H, rng, scale, scale_x, i=b[0], f=b[1], g=b[2], o=b[3])
    else:
        network = gru(H, rng, scale, scale_x, r=b[0], z=b[1])
    report = diagnose(network)
    names = [finding.name for finding in report.findings]
    assert report.verdict == (names[0] if names else "healthy")
    assert names == sorted(names, key=list(VERDICTS).index)
    ends = {(m.where, m.input): (m.typical[-1], m.best.max()) for m in report.measurements}
    vanished, grown = (
        {place for place, (typical, best) in ends.items() if seen(typical, best)}
        for seen in (lambda typical, _: typical <= -3, lambda _, best: best >= 3)
    )
    said = lambda *those: {(f.where, i) for f in report.findings if f.name in those for i in f.inputs}  # noqa: E731
    assert said("vanishing", "forgets") == vanished
    assert said("exploding") <= grown
    assert grown <= said("exploding", "transient growth")
    assert said("chaotic") <= said("exploding")
    assert said("dead units") == {(m.where, m.input) for m in report.measurements if m.dead >= 0.5}
    for m in report.measurements:
        assert (m.steps is None) == (m.typical[-1] > -3) or m.steps < len(m.typical) - 1
        assert np.all(m.typical <= m.best)
        assert m.matrix is None or 0 <= m.slopes <= 1


OURS = [  # one network of this package, small enough to be diagnosed again and again
    (name, H)
    for name, H in CASES
    if H <= 64 and type(TROUBLE[name][0](H, np.random.default_rng(0))) in (RNN, LSTM, GRU)
]


@pytest.mark.parametrize(
    ("name", "H"),
    later([(n, H) for n, H in OURS if TROUBLE[n][2] != "healthy"], lambda name, H: TROUBLE[name][1][0] < H),
)
def test_what_it_says_to_do_takes_the_trouble_away(name, H):
    rng = np.random.default_rng(0)
    make, _, verdict, *draw = TROUBLE[name]
    network, x = make(H, rng), [d(H, rng) for d in draw]
    report = diagnose(network, *x)
    worst, measured = report.findings[0], report.measurements
    number = re.search(
        r"divided by ([\d.]+)|bias of the gate [fz] to ([\d.]+)", f"{report.proof} {report.action}"
    )
    again = lambda: diagnose(network, *x)  # noqa: E731
    if verdict == "vanishing":
        before = min(m.steps for m in measured)
        if "W_h must give 1 per step" in report.proof:
            network.W_h = np.eye(H) if "identity" in report.action else orthogonal(H, rng)
            assert all(m.matrix == pytest.approx(1) for m in again().measurements)
        elif "take tanh" in report.action:
            network = RNN(network.W_x, network.W_h, network.b, "tanh")
        else:
            network.W_x = 0.1 * network.W_x
        assert all(m.steps is None or m.steps > before for m in again().measurements)
    elif verdict in ("exploding", "chaotic") and number is None:
        for _ in range(12):
            network.W_h = network.W_h / 2
        assert again().verdict not in ("exploding", "chaotic")
    else:
        if verdict == "exploding":
            network.W_h = network.W_h / float(number[1])
        elif verdict == "forgets":
            network.b[H : 2 * H] = float(number[2])
        elif verdict == "transient growth":
            network.W_h = orthogonal(H, rng, report.blocks[0].radius)
        elif verdict == "not finite":
            network.W_h = network.W_h / 30
        elif verdict == "dead units":
            network.b[:] = 0.1
        elif worst.gate:
            at = ("rzn" if type(network) is GRU else "ifgo").index(worst.gate)
            network.b[at * H : (at + 1) * H] = 0.0
        elif "the bias of the gate f or i" in report.action:
            network.b[: 2 * H] = np.repeat([-4.0, 3.0], H)
        else:
            parts = {"W_x down": network.W_x, "W_h down": network.W_h, "biases": network.b}
            for part in (part for name, part in parts.items() if name in report.action):
                part /= 40
        assert again().verdict != verdict


# The numbers.


@KINDS
@pytest.mark.parametrize("H", [1, 2, 7, 40])
def test_the_norms_are_those_of_the_product_of_jacobians(kind, H):
    rng = np.random.default_rng(H)
    network, x = random_network(kind, H, rng), rng.normal(size=(25, 2, 3))
    (measured,) = diagnose(network, x).measurements
    state = network.forward(x)
    u = rng.normal(size=(20_000, H))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    assert measured.exact
    for d in (0, 1, 2, 9, 25):
        products = network.jacobian_product(state, 25 - d, 25)[:, :H]
        norms = np.log10(np.linalg.norm(products, 2, axis=(1, 2)))
        assert measured.best[d] == pytest.approx(np.median(norms) if d else 0.0)
        means = np.log10(np.linalg.norm(u @ products, axis=-1)).mean(axis=-1)
        assert measured.typical[d] == pytest.approx(np.median(means) if d else 0.0, abs=0.02)


@KINDS
def test_of_many_units_the_best_direction_is_found_and_never_exceeded(kind):
    rng = np.random.default_rng(1)
    network, x = random_network(kind, 120, rng), rng.normal(size=(30, 1, 3))
    (measured,) = diagnose(network, x).measurements
    state = network.forward(x)
    norms = [np.linalg.norm(network.jacobian_product(state, 30 - d, 30)[0, :120], 2) for d in range(1, 31)]
    found = 10 ** measured.best[1:] / norms
    assert not measured.exact
    assert found.max() <= 1 + 1e-9
    assert found.min() > 0.6
    assert found[-1] > 0.99


def test_the_carried_product_leaves_the_range_of_floats_unharmed():
    rng = np.random.default_rng(0)
    x = np.zeros((900, 1, 3))
    for scale in (0.01, 100.0):
        network = plain(orthogonal(3, rng, scale), rng, "identity")
        (measured,) = diagnose(network, x).measurements
        assert measured.best[-1] == pytest.approx(900 * np.log10(scale))
        assert measured.typical[-1] == pytest.approx(900 * np.log10(scale))
        assert measured.rate == pytest.approx(np.log(scale))
        assert measured.spread < 1e-9
        assert measured.slopes == pytest.approx(1)
        assert measured.matrix == pytest.approx(scale)


def test_slopes_and_matrix_multiply_to_the_growth_of_a_gradient():
    rng = np.random.default_rng(3)
    network, x = random_network(RNN, 50, rng), rng.normal(size=(60, 1, 3))
    (measured,) = diagnose(network, x).measurements
    assert 60 * np.log10(measured.slopes * measured.matrix) == pytest.approx(measured.typical[-1], abs=0.4)
    assert 0 < measured.slopes < 1 < measured.matrix


def test_a_factor_is_that_of_the_steps_where_a_gradient_is_left():
    def factors(W_h, x, activation="relu"):
        H = len(W_h)
        (measured,) = diagnose(RNN(np.ones((H, 1)), W_h, np.zeros(H), activation), x).measurements
        return measured.slopes, measured.matrix

    x = np.ones((100, 1, 1))
    assert factors(np.eye(3, k=1), x, "identity") == (1, 0)  # nilpotent: after three steps nothing is left
    x[:3] = -9.0
    assert factors(np.array([[1.3]]), x) == (0, pytest.approx(1.3))
    report = diagnose(RNN(np.ones((1, 1)), np.array([[1.3]]), np.zeros(1), "relu"), x)
    (vanishing,) = [finding for finding in report.findings if finding.name == "vanishing"]
    assert vanishing.action.startswith("keep more units above 0")
    assert factors(np.eye(2), -x[3:]) == (0, None)


def shut_at(step, *sequences):
    """A ReLU network that halves a gradient, and some of four sequences with a step at which it is shut."""
    x = np.ones((100, 4, 1))
    x[step, sequences] = -99.0
    return RNN(np.ones((2, 1)), 0.5 * np.eye(2), np.zeros(2), "relu"), x


@pytest.mark.parametrize("step", [3, 50, 97])  # the first has the longest way to go
def test_a_sequence_in_which_all_is_lost_does_not_speak_for_the_others(step):
    report = diagnose(*shut_at(step, 1))
    (m,) = report.measurements
    assert (m.rate, m.spread) == (pytest.approx(np.log(0.5)), pytest.approx(0))
    assert (m.slopes, m.matrix) == (1, pytest.approx(0.5))
    assert report.action.startswith("start W_h at the identity")
    assert any("in 1 of 4 sequences nothing is left of a gradient after 100 steps" in n for n in report.notes)
    assert not any("nothing is left" in note for note in diagnose(*shut_at(step)).notes)


@pytest.mark.parametrize("step", [30, 50, 90])
def test_where_all_is_lost_the_rate_says_so_in_words_and_json(step):
    report = diagnose(*shut_at(step, 0, 1, 2, 3))
    assert report.measurements[0].rate == -np.inf
    table = dict(report._tables())["Gradients"]
    assert table.rows[0][table.headings.index("Lyapunov rate")] == "-inf"
    measured = json.loads(json.dumps(report.as_dict(), allow_nan=False))["measurements"][0]
    assert (measured["rate"], measured["best"][-1]) == (None, None)
    assert not any("nothing is left" in note for note in report.notes)


def test_a_figure_says_where_a_curve_ends_that_no_float_can_be_drawn_at():
    for network, x, end in (
        (*shut_at(50, 0, 1, 2, 3), "0"),
        (plain(np.full((1, 1), 1e-5), np.random.default_rng(0), "identity"), np.zeros((100, 1, 3)), "1e-500"),
    ):
        report = diagnose(network, x)
        (axes,) = report.figure().axes
        assert {t.get_text() for t in axes.texts} >= {f"best → {end}", f"typical → {end}"}
        best = report.measurements[0].best
        least = best[best >= -300].min()
        assert least - 3 < np.log10(min(np.min(line.get_ydata()) for line in axes.lines)) < least


def test_gates_and_memory():
    rng = np.random.default_rng(0)
    network, x = random_network(LSTM, 6, rng), rng.normal(size=(30, 2, 3))
    (measured,) = diagnose(network, x).measurements
    state = network.forward(x)
    assert measured.gates["f"][0] == pytest.approx(state.f.mean())
    assert measured.gates["o"][1:] == pytest.approx(((state.o < 0.01).mean(), (state.o > 0.99).mean()))
    memory = np.log(1000) / -np.log(state.f).mean(axis=(0, 1))
    assert measured.memory == pytest.approx(np.median(memory))
    (measured,) = diagnose(lstm(2, rng, f=60), x).measurements
    assert measured.memory == np.inf  # σ(60) is 1


class Foreign:
    """An RNN that only speaks the protocol."""

    def __init__(self, network):
        self.network = network

    def parameters(self):
        return {"W_x": self.network.W_x}

    def forward(self, x):
        return self.network.forward(x)

    def backward(self, x, state, dh):
        return SimpleNamespace(x=self.network.backward(x, state, dh).x)

    def hidden(self, state):
        return state


@pytest.mark.parametrize("H", [2, 80])
def test_what_speaks_the_protocol_is_measured_at_its_input(H):
    rng = np.random.default_rng(0)
    network = RNN(np.eye(H), orthogonal(H, rng, 0.8), np.zeros(H), "identity")
    x = rng.normal(size=(40, 2, H))
    (ours,), (foreign,) = (diagnose(n, x).measurements for n in (network, Foreign(network)))
    assert foreign.best == pytest.approx(ours.best[:-1])
    assert foreign.typical == pytest.approx(ours.typical[:-1])
    report = diagnose(Foreign(network), x)
    assert report.verdict == diagnose(network, x).verdict == "vanishing"
    assert report.figure().axes[0].get_ylabel() == "gradient for $x^{(k)}$, of that for $x^{(t)}$"
    with pytest.raises(ValueError, match="x must be given for a network of another class"):
        diagnose(Foreign(network))


def by_input(network, x, d):
    """The product of Jacobians by x⁽ᵀ⁻ᵈ⁾, a (B, H, I) array, of an RNN."""
    state, t = network.forward(x), len(x) - d
    slope = network.activation.derivative_from_output(state[t])
    return network.jacobian_product(state, t, len(x)) @ (slope[:, :, None] * network.W_x)


@pytest.mark.parametrize(("H", "exact"), [(6, True), (40, True), (64, True), (65, False), (100, False)])
def test_at_its_input_it_is_the_product_of_jacobians(H, exact):
    from rnn_notes._growth import growth_of_inputs

    rng = np.random.default_rng(H)
    network, x = random_network(RNN, H, rng, I=4), rng.normal(size=(27, 2, 4))
    foreign, calls = Foreign(network), []
    whole = foreign.backward
    foreign.backward = lambda *given: calls.append(None) or whole(*given)
    (m,) = diagnose(foreign, x).measurements
    assert (m.exact, len(m.best)) == (exact, 27)
    assert len(calls) == (H if exact else 16)
    products = [by_input(network, x, d) for d in range(27)]
    largest = np.log(np.linalg.norm(products, 2, axis=(-2, -1)))
    u = rng.normal(size=(20_000, H))
    mean = [np.log(np.linalg.norm(u @ product, axis=-1)).mean(axis=-1) for product in products]
    tolerance = 1e-9 if exact else 0.2
    assert m.best == pytest.approx(np.median((largest - largest[0]) / np.log(10), axis=1), abs=tolerance)
    assert m.typical == pytest.approx(
        np.median(np.subtract(mean, mean[0]) / np.log(10), axis=1), abs=tolerance + 0.02
    )
    assert growth_of_inputs(foreign, x, network.forward(x), rng).typical.shape == (2, 27)
    ends = [6, 9, 13, 16, 20]  # the middle half of 26, in four parts
    rates = np.diff(largest[ends], axis=0) / np.diff(ends)[:, None]
    assert m.rate == pytest.approx(rates.mean(), abs=tolerance)
    if exact:
        assert (m.spread, m.error) == pytest.approx((rates.std(ddof=1), rates.std(ddof=1) / 8**0.5))
    bound = dict(diagnose(foreign, x)._tables())["Gradients"].rows[0][3]
    assert bound.startswith("≈ ") is not exact


def test_of_another_class_one_step_is_no_growth():
    network = random_network(RNN, 2, np.random.default_rng(0))
    (m,) = diagnose(Foreign(network), np.ones((1, 1, 3))).measurements
    assert (len(m.best), m.rate) == (1, 0)


def test_another_class_of_float32_gets_gradients_of_float32():
    network = in_float32(random_network(RNN, 4, np.random.default_rng(0)))
    (m,) = diagnose(Foreign(network), np.ones((9, 2, 3))).measurements  # float64 would be refused
    assert len(m.best) == 9


def test_of_another_class_a_sequence_that_gets_nothing_is_lost():
    network, x = shut_at(50)
    foreign = Foreign(network)
    whole = foreign.backward

    def nothing(x, state, dh):
        dx = whole(x, state, dh).x
        dx[:, 1] = 0
        return SimpleNamespace(x=dx)

    foreign.backward = nothing
    report = diagnose(foreign, x)
    assert report.measurements[0].rate == pytest.approx(np.log(0.5))
    (note,) = [note for note in report.notes if "nothing is left" in note]
    assert note.startswith("network: in 1 of 4 sequences")
    assert note.endswith("; the Lyapunov rate is of the others")


@KINDS
def test_tangents_go_ahead_as_gradients_go_back(kind):
    from rnn_notes._growth import KINDS

    rng = np.random.default_rng(0)
    network, x = random_network(kind, 5, rng), rng.normal(size=(3, 2, 3))
    steps = KINDS[kind](network, network.forward(x))
    rows, tangents = rng.normal(size=(2, 2, 4, steps.size))
    for t in range(3):
        back, ahead = steps.back(rows, t)[0], steps.ahead(tangents, t)
        assert np.sum(back * tangents) == pytest.approx(np.sum(rows * ahead))


@KINDS
def test_the_rate_is_that_of_four_parts_of_the_middle(kind):
    rng = np.random.default_rng(0)
    network, x = random_network(kind, 5, rng), rng.normal(size=(27, 2, 3))
    (m,) = diagnose(network, x).measurements
    state, ends = network.forward(x), [6, 9, 13, 17, 21]
    products = [network.jacobian_product(state, 27 - d, 27)[:, :5] for d in ends]
    norms = np.log(np.linalg.norm(products, 2, axis=(-2, -1)))
    rates = np.diff(norms, axis=0) / np.diff(ends)[:, None]
    assert (m.rate, m.spread) == pytest.approx((rates.mean(), rates.std(ddof=1)))
    assert m.error == pytest.approx(rates.std(ddof=1) / 8**0.5)


def test_a_last_step_that_counts_for_nothing_is_refused():
    network, x = Foreign(plain(np.eye(2), np.random.default_rng(0))), np.ones((9, 2, 3))
    whole = network.backward

    def masked(x, state, dh):
        dx = whole(x, state, dh).x
        dx[-1, 1] = 0
        return SimpleNamespace(x=dx)

    network.backward = masked
    said = (
        r"network: backward.* 0 at the last step of sequence 1, .* give x without what stands after the end"
    )
    with pytest.raises(ValueError, match=said):
        diagnose(network, x)


def test_drawn_input_depends_on_its_width_alone():
    rng = np.random.default_rng(0)
    for width, kinds in (
        (1, ["one number", "one-hot"]),
        (3, ["one number", "all numbers", "one-hot"]),
        (12, ["one number", "ten numbers", "one-hot"]),
    ):
        one = RNN(3 * rng.normal(size=(1, width)), np.eye(1), np.zeros(1))
        two = RNN(np.repeat(one.W_x, 2, axis=0), np.eye(2), np.zeros(2))
        stacks = diagnose({f"{g}.{name}": a for g in "ab" for name, a in one.parameters().items()})
        reports = [diagnose(one), diagnose(two)]
        assert f"measured on drawn input ({', '.join(kinds)}); " in reports[0].notes[-1]
        shares = [[m.saturated for m in report.measurements] for report in reports]
        assert shares[0] == shares[1]
        assert [m.saturated for m in stacks.measurements] == 2 * shares[0]
        assert any("each by itself reads an input: a, b" in note for note in stacks.notes)


def test_every_layer_and_direction_is_measured_on_what_reaches_it():
    rng = np.random.default_rng(0)
    first, back = random_network(GRU, 4, rng), random_network(GRU, 4, rng)
    second = random_network(GRU, 4, rng, I=8)
    arrays = {}
    for cell, layer, reverse in ((first, 0, False), (back, 0, True), (second, 1, False)):
        arrays |= torch_names(cell, layer, reverse)
        arrays[f"bias_hh_l{layer}" + "_reverse" * reverse][8:] = cell.b_n
    x = rng.normal(size=(20, 2, 3))
    report = diagnose(arrays, x)
    h = np.concatenate([first.forward(x).h[1:], back.forward(x[::-1].copy()).h[:0:-1]], axis=-1)
    expected = [diagnose(first, x), diagnose(back, x[::-1].copy()), diagnose(second, h)]
    assert [m.where for m in report.measurements] == ["layer 0", "layer 0, backward", "layer 1"]
    for m, alone in zip(report.measurements, expected, strict=True):
        assert m.best == pytest.approx(alone.measurements[0].best)
        assert m.gates == alone.measurements[0].gates


def test_layers_by_our_own_names_are_a_stack(tmp_path):
    rng = np.random.default_rng(0)
    cells, x = [random_network(GRU, 4, rng), random_network(GRU, 4, rng, I=4)], rng.normal(size=(20, 2, 3))
    arrays = {
        f"{name}{i}.{key}": array
        for name in ("enc", "")
        for i, cell in enumerate(cells, start=1)
        for key, array in cell.parameters().items()
    }
    np.savez(tmp_path / "a.npz", **arrays)
    report, expected = diagnose(tmp_path / "a.npz", x), diagnose(cells, x)
    assert [m.where for m in report.measurements] == ["layer 1", "layer 2", "enc layer 1", "enc layer 2"]
    for m, alone in zip(report.measurements, 2 * expected.measurements, strict=True):
        assert m.best == pytest.approx(alone.best)


@pytest.mark.parametrize(
    ("name", "where"), [("bad layer of three", "layer 1"), ("bad direction of two", "layer 0, backward")]
)
def test_the_verdict_names_the_place(name, where):
    report, _ = report_on(name, 10, 3)
    assert report.where == where
    assert {finding.where for finding in report.findings} == {where}


def test_two_forget_biases_are_seen():
    report, _ = report_on("LSTM, forget bias 1 twice", 8, 0)
    (finding,) = [finding for finding in report.findings if finding.name == "forget bias"]
    assert finding.what == "two forget biases, of mean 1 and 1, add up to 2"
    assert report.findings[-1] is finding
    open_twice = diagnose(forget_bias_twice(8, np.random.default_rng(0), 4.0))
    assert open_twice.verdict == "healthy"
    assert [finding.name for finding in open_twice.findings] == ["forget bias"]


def test_a_layer_in_half_precision_or_several_is_measured_and_said():
    rng = np.random.default_rng(0)
    arrays = torch_names(lstm(4, rng, f=5), 0)
    half = {name: array.astype(np.float16) for name, array in arrays.items()}
    report = diagnose(half)
    assert report.verdict == "healthy"
    assert any("half-precision weights, measured in float32" in note for note in report.notes)
    mixed = arrays | {"weight_ih_l0": arrays["weight_ih_l0"].astype(np.float32)}
    assert any("weights of several dtypes, float32, float64" in note for note in diagnose(mixed).notes)


def test_bfloat16_of_numpy_s_neighbours_is_measured():
    bfloat16 = pytest.importorskip("ml_dtypes", reason="JAX is not installed").bfloat16
    network = lstm(4, np.random.default_rng(0), f=5)
    report = diagnose({name: a.astype(bfloat16) for name, a in torch_names(network, 0).items()})
    assert report.verdict == "healthy"
    assert report.notes[0] == "bfloat16 is measured in float32: in bfloat16 more is lost"
    assert len(report.notes) == 3


@pytest.mark.parametrize("kind", [RNN, LSTM])
def test_products_are_carried_and_not_stored(kind):
    T, H = 300, 128
    network = random_network(kind, H, np.random.default_rng(0))
    tracemalloc.start()
    diagnose(network, np.zeros((T, 1, 3)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < T * H * H * 8 / 3


# What other programs call things.


def keras_arrays(network):
    """Weights of a network of ours as Keras keeps them: transposed, and a GRU's gates as z, r, h."""
    H = network.W_h.shape[1]
    W_x, W_h, b = network.W_x, network.W_h, network.b
    if isinstance(network, GRU):
        order = np.r_[H : 2 * H, :H, 2 * H : 3 * H]
        b_r = np.concatenate([np.zeros(2 * H), network.b_n])
        return [W_x[order].T, W_h[order].T, np.stack([b[order], b_r])]
    return [W_x.T, W_h.T, b]


def same(report, expected):
    for ours, theirs in zip(expected.measurements, report.measurements, strict=True):
        assert theirs.best == pytest.approx(ours.best)
        assert [*theirs.gates] == [*ours.gates]
        for gate, numbers in ours.gates.items():
            assert theirs.gates[gate] == pytest.approx(numbers)
    assert [block.radius for block in report.blocks] == pytest.approx(
        [block.radius for block in expected.blocks]
    )


@KINDS
def test_weights_of_keras(kind):
    rng = np.random.default_rng(0)
    network, x = random_network(kind, 5, rng), rng.normal(size=(20, 2, 3))
    expected, arrays = diagnose(network, x), keras_arrays(network)
    names = [
        f"net/layer/{kind.__name__.lower()}_cell/{part}" for part in ("kernel", "recurrent_kernel", "bias")
    ]
    for given in (arrays, dict(zip(names, arrays, strict=True))):
        same(diagnose(given, x), expected)
    assert diagnose(dict(zip(names, arrays, strict=True)), x).measurements[0].where == "net/layer"


def keras_model(network, **settings):
    """What of a Keras model is read: Keras takes the batch first."""
    path = "net/layer/cell"
    layer = SimpleNamespace(cell=SimpleNamespace(path=path, **settings))
    names = [f"{path}/{part}" for part in ("kernel", "recurrent_kernel", "bias")]
    return SimpleNamespace(
        get_weights=lambda: keras_arrays(network),
        weights=[SimpleNamespace(path=name) for name in names],
        layers=[SimpleNamespace(forward_layer=layer)],
    )


@KINDS
def test_a_model_of_keras(kind):
    rng = np.random.default_rng(0)
    network, x = random_network(kind, 5, rng), rng.normal(size=(20, 2, 3))
    report = diagnose(keras_model(network), np.swapaxes(x, 0, 1))
    same(report, diagnose(network, x))
    assert "the network takes its batch first, so x is read as (B, T, I)" in report.notes


def test_activations_of_keras():
    def relu():
        """By its name."""

    rng = np.random.default_rng(0)
    network = plain(np.eye(4), rng, "relu", bias=-9.0)
    report = diagnose(keras_model(network, activation=relu))
    assert report.verdict == "dead units"
    assert not any("tanh is assumed" in note for note in report.notes)
    for settings in ({"activation": relu}, {"recurrent_activation": relu}):
        report = diagnose(keras_model(lstm(4, rng), **settings))
        assert report.verdict == "not measured"
        assert any("has the activation" in note for note in report.notes)


def test_layers_of_keras_are_told_from_directions_and_dense_layers():
    rng = np.random.default_rng(0)
    cells = [random_network(LSTM, 5, rng, I) for I in (3, 3, 10)]  # noqa: E741
    arrays = [
        rng.normal(size=(50, 3)),
        *(a for cell in cells for a in keras_arrays(cell)),
        np.ones((5, 2)),
        np.ones(2),
    ]
    report = diagnose(arrays, rng.normal(size=(10, 2, 3)))
    assert [m.where for m in report.measurements] == ["layer 0", "layer 0, backward", "layer 1"]
    assert "3 arrays of the list are no part of a recurrence" in report.notes


def test_an_embedding_before_a_square_kernel_is_no_kernel():
    network = random_network(RNN, 4, np.random.default_rng(0), I=4)
    report = diagnose([np.ones((50, 4)), *keras_arrays(network)], np.ones((9, 1, 4)))
    same(report, diagnose(network, np.ones((9, 1, 4))))
    assert any("is taken for an embedding" in note for note in report.notes)


def test_a_keras_model_whose_weights_have_one_name_takes_its_batch_first():
    network, x = random_network(LSTM, 5, np.random.default_rng(0)), np.ones((2, 20, 3))
    model = keras_model(network)
    model.weights = [SimpleNamespace(path="weight")] * 3
    same(diagnose(model, x), diagnose(network, np.ones((20, 2, 3))))


def test_a_checkpoint_with_all_that_training_needs():
    network = random_network(GRU, 5, np.random.default_rng(0))
    state = {0: {"step": np.float32(3), "exp_avg": np.ones((15, 3))}}
    optimizer = {"state": state, "param_groups": [{"lr": 0.1, "params": [0, 1]}]}
    report = diagnose({"epoch": 3, "model": torch_names(network, 0), "optimizer": optimizer, "best": None})
    assert report.complete
    assert "no arrays, and left out: epoch, optimizer.param_groups, best" in report.notes
    within = {}
    within["itself"] = within
    with pytest.raises(ValueError, match="a dict that has itself within"):
        diagnose(within)


def test_the_gru_of_keras_without_reset_after_is_not_run():
    kernel, recurrent, bias = keras_arrays(random_network(GRU, 5, np.random.default_rng(0)))
    report = diagnose({"gru/kernel": kernel, "gru/recurrent_kernel": recurrent, "gru/bias": bias[0]})
    assert (report.verdict, report.complete, report.measurements) == ("not measured", False, ())
    assert len(report.blocks) == 3
    assert any("reset_after=False" in note for note in report.notes)


@KINDS
def test_a_module_of_pytorch(kind):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.manual_seed(0)
    module = getattr(torch.nn, kind.__name__)(3, 5, num_layers=2, bidirectional=True, batch_first=True)
    x = torch.randn(2, 20, 3)
    report = diagnose(module, x)
    assert [m.where for m in report.measurements] == [
        f"layer {layer}{way}" for layer in (0, 1) for way in ("", ", backward")
    ]
    swapped = x.transpose(0, 1).contiguous().numpy()
    same(diagnose(module.state_dict(), swapped), report)
    top = module(x)[0].detach().numpy().transpose(1, 0, 2)
    seen = []
    diagnose(module, x, loss=lambda h: (0.0, seen.append(h) or np.ones_like(h)))
    np.testing.assert_allclose(seen[0], top, atol=1e-6)


def test_what_pytorch_calls_relu_cells_and_projections():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    module = torch.nn.ModuleDict({"a": torch.nn.RNN(3, 4, nonlinearity="relu"), "b": torch.nn.LSTMCell(3, 4)})
    report = diagnose(module)
    assert {m.where for m in report.measurements} == {"a", "b"}
    assert not any("tanh is assumed" in note for note in report.notes)
    report = diagnose(torch.nn.LSTM(3, 8, proj_size=2))
    assert report.verdict == "not measured"
    assert any("projection" in note for note in report.notes)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_what_pytorch_hides_in_a_module():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.LSTM(3, 5))
    expected = diagnose(module)
    quantised = torch.ao.quantization.quantize_dynamic(module, {torch.nn.LSTM}, dtype=torch.qint8)
    with pytest.raises(ValueError, match="is quantised, and its weights are packed"):
        diagnose(quantised)
    for norm in (torch.nn.utils.weight_norm, torch.nn.utils.parametrizations.weight_norm):
        report = diagnose(norm(torch.nn.LSTM(3, 5).requires_grad_(False), "weight_hh_l0"))
        assert len(report.blocks) == 4
        assert len(report.notes) == len(expected.notes) == 1


def test_a_missing_bias_and_unknown_arrays_are_said():
    arrays = torch_names(lstm(4, np.random.default_rng(0), scale_x=0.02, f=5), 0)
    arrays = {f"rnn.{name}": array for name, array in arrays.items() if name != "bias_hh_l0"}
    report = diagnose(arrays | {"decoder.weight": np.ones((2, 4))})
    assert (report.verdict, report.complete) == ("healthy", True)
    for said in ("one of its two biases is missing", "no part of a recurrence: decoder.weight"):
        assert any(said in note for note in report.notes), said
    for name in (
        "peephole_i",
        "rnn.weight_ci",
        "w_f_diag",
        "rnn.weight_hh_l1",
        "rnn.weight_ih_l1",
    ):  # with it, this is another network than the one that was run
        report = diagnose(arrays | {name: np.ones((16, 4))})
        assert (report.verdict, report.complete) == ("not measured", False)
        assert len(report.measurements) == 3


def test_what_cannot_be_run_is_said_with_what_to_do():
    rng = np.random.default_rng(0)
    good, arrays = lstm(6, rng, f=5), torch_names(random_network(LSTM, 6, rng), 0)
    arrays |= {"weight_hh_l0": rng.normal(size=(24, 2)), "weight_hr_l0": rng.normal(size=(2, 6))}
    report = diagnose(arrays)
    assert [block.name for block in report.blocks] == ["W_hi", "W_hf", "W_hg", "W_ho"]
    whole = arrays["weight_hh_l0"] @ arrays["weight_hr_l0"]
    norms = [np.linalg.norm(W, 2) for W in np.split(whole, 4)]
    assert [block.norm for block in report.blocks] == pytest.approx(norms)
    assert report.verdict == "not measured"
    assert "measure the gradient norm by time step in your own program" in report.action
    assert "so nothing above it was run" not in repr(report)
    above = {name.replace("l0", "l1"): a for name, a in torch_names(good, 0).items()}
    assert "network could not be run" in repr(report)
    assert "layer 0 could not be run, so nothing above it was run" in diagnose(arrays | above).notes
    for name in ("weight_hh_l0", "weight_hr_l0"):
        bad = diagnose(arrays | {name: np.full_like(arrays[name], np.nan)})
        assert [f.what.split()[0] for f in bad.findings] == [name.removesuffix("_l0")]
    for wrong in (np.ones(6), np.ones((3, 6)), np.ones((2, 5)), np.float64(1)):
        assert diagnose(arrays | {"weight_hr_l0": wrong}).blocks == ()


def test_a_layer_of_keras_that_goes_backwards_turns_what_is_above():
    rng, x = np.random.default_rng(0), np.random.default_rng(1).normal(size=(9, 2, 3))
    a, forward, backward = (random_network(RNN, 4, rng, I) for I in (3, 4, 4))  # noqa: E741
    c = random_network(RNN, 4, rng, I=8)
    cells = {"a/cell": a, "two/forward_b/cell": forward, "two/backward_b/cell": backward, "c/cell": c}
    layers = [SimpleNamespace(cell=SimpleNamespace(path=p), go_backwards="forward" not in p) for p in cells]
    arrays = {name: array for path, cell in cells.items() for name, array in keras_names(cell, path).items()}
    model = SimpleNamespace(
        get_weights=lambda: [*arrays.values()],
        weights=[SimpleNamespace(path=name) for name in arrays],
        layers=layers,
    )
    seen = []
    report = diagnose(model, np.swapaxes(x, 0, 1), loss=lambda h: (0.0, seen.append(h) or np.ones_like(h)))

    def run(network, x):
        return network.forward(np.ascontiguousarray(x))[1:]

    h = run(a, x[::-1])  # as Keras hands it on: what was read last comes last
    h = np.concatenate([run(forward, h), run(backward, h[::-1])[::-1]], axis=-1)
    np.testing.assert_allclose(seen[0], run(c, h[::-1]))
    assert ["backward" in m.where.split(", ") for m in report.measurements] == [True, True, False, False]


def keras_names(network, where="lstm/lstm_cell"):
    parts = ("kernel", "recurrent_kernel", "bias")
    return {f"{where}/{part}": a for part, a in zip(parts, keras_arrays(network), strict=True)}


@pytest.mark.parametrize("prefix", ["", "net."])
def test_names_of_two_programs_are_two_networks(prefix):
    rng = np.random.default_rng(0)
    torch, keras, ours = (random_network(LSTM, 4, rng) for _ in range(3))
    named = [
        {f"{prefix}{name}": a for name, a in arrays.items()}
        for arrays in (torch_names(torch, 0), keras_names(keras), ours.parameters())
    ]
    report, x = diagnose(named[2] | named[1] | named[0], np.ones((9, 1, 3))), np.ones((9, 1, 3))
    assert [m.where.split()[0] for m in report.measurements] == ["PyTorch", "Keras", "this"]
    for m, network in zip(report.measurements, (torch, keras, ours), strict=True):
        assert m.best == pytest.approx(diagnose(network, x).measurements[0].best)
    said = "names of PyTorch and of Keras and of this package, which no network mixes: each is taken for"
    assert any(said in note for note in report.notes)
    assert report.complete
    assert not any("names of" in note for note in diagnose(named[1], x).notes)


def test_what_is_left_of_another_recurrence_is_no_complete_network():
    rng = np.random.default_rng(0)
    good, other = lstm(4, rng, f=5), keras_names(lstm(4, rng, f=5))
    del other["lstm/lstm_cell/recurrent_kernel"]
    ours = {f"layer{i}.{name}": a for i in (0, 1) for name, a in lstm(4, rng, f=5).parameters().items()}
    del ours["layer1.W_h"]
    for arrays, left in (
        (torch_names(good, 0) | other, "lstm/lstm_cell/kernel, lstm/lstm_cell/bias"),
        (torch_names(good, 0) | {"W_x": good.W_x}, "W_x"),
        (ours, "layer1.W_x"),
        (torch_names(good, 0) | {"weight_hh": good.W_h}, "weight_hh"),  # of an LSTMCell, and of no other name
        (keras_names(good) | {"lstm/lstm_cell/kernel:0": good.W_x.T}, "lstm/lstm_cell/kernel:0"),
        ({f"layer1.{n}": a for n, a in good.parameters().items()} | {"layer01.W_h": good.W_h}, "layer01.W_h"),
    ):
        report = diagnose(arrays)
        assert (report.verdict, report.complete) == ("not measured", False), left
        assert f"not understood, and measured without: {left}" in report.notes


# Files.


def safetensors(path, arrays, metadata=None):
    """Write a safetensors file, as https://github.com/huggingface/safetensors#format says."""
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    names = {"float16": "F16", "float32": "F32", "float64": "F64"}
    for name, array in arrays.items():
        new = np.ascontiguousarray(array).tobytes()
        offsets = [len(data), len(data) + len(new)]
        header[name] = {"dtype": names[array.dtype.name], "shape": list(array.shape), "data_offsets": offsets}
        data += new
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


@KINDS
def test_files(kind, tmp_path):
    rng = np.random.default_rng(0)
    network, x = random_network(kind, 5, rng), rng.normal(size=(20, 2, 3))
    expected = diagnose(network, x)
    np.savez(tmp_path / "a.npz", **network.parameters())
    np.savez_compressed(
        tmp_path / "b.npz", **{k: np.asfortranarray(a) for k, a in network.parameters().items()}
    )
    safetensors(tmp_path / "c.safetensors", network.parameters(), {"format": "np"})
    for name in ("a.npz", "b.npz", "c.safetensors"):
        same(diagnose(tmp_path / name, x), expected)
        same(diagnose(str(tmp_path / name), x), expected)


def test_the_real_safetensors_and_pt_files(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    module = torch.nn.GRU(3, 5)
    torch.save(module.state_dict(), tmp_path / "a.pt")
    x = np.random.default_rng(0).normal(size=(20, 2, 3)).astype(np.float32)
    same(diagnose(tmp_path / "a.pt", x), diagnose(module, x))
    torch.save(module, tmp_path / "b.pt")  # a pickle of the module itself
    with pytest.raises(ValueError, match="network must be a state_dict saved by PyTorch"):
        diagnose(tmp_path / "b.pt")


def header(text, length=None, data=b""):
    text = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(text) if length is None else length) + text + data


ENTRY = '{"W_h": {"dtype": %s, "shape": %s, "data_offsets": %s}}'
BAD_FILES = {
    "empty.safetensors": (b"", "its header is said to have 0 bytes, of 0"),
    "long.safetensors": (header("{}", 10 * 2**30), "its header is said to have 10737418240 bytes, of 10"),
    "cut.safetensors": (header('{"W_h": '), "Expecting value"),
    "list.safetensors": (header("[]"), "its header is no dict"),
    "latin.safetensors": (header(b"\xff\xfe"), "codec can't decode"),
    "keys.safetensors": (header('{"W_h": {}}'), "'dtype' is missing"),
    "nest.safetensors": (header("[" * 20_000), "recursion|Expecting"),
    "far.safetensors": (header(ENTRY % ('"F32"', "[1]", "[40, 44]"), data=bytes(4)), "from 40 to 44, of 4"),
    "huge.safetensors": (
        header(ENTRY % ('"F32"', "[99999999999]", "[0, 4]"), data=bytes(4)),
        "from 0 to 4, of 4",
    ),
    "minus.safetensors": (header(ENTRY % ('"F32"', "[1]", "[-4, 0]"), data=bytes(4)), "that are no counts"),
    "kind.safetensors": (
        header(ENTRY % ('"F8_E4M3"', "[1]", "[0, 1]"), data=bytes(4)),
        "has dtype 'F8_E4M3'",
    ),
    "text.npz": (b"no zip", "File is not a zip file"),
    "a.npy": (b"", "one array is no network"),
    "a.h5": (b"", r"from Keras: np\.savez"),
    "a.txt": (b"", r"a file \.npz, \.safetensors or \.pt, got"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_files_that_are_none(name, tmp_path):
    content, message = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"(?s)network must be .*({message})"):
        diagnose(tmp_path / name)


def test_an_array_beyond_the_limit_is_said_to_be_larger(tmp_path, monkeypatch):
    monkeypatch.setattr("rnn_notes._weights.LARGEST", 100)
    np.savez(tmp_path / "a.npz", W_h=np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"its array of shape \(4, 4\) is larger than 100 bytes"):
        diagnose(tmp_path / "a.npz")


def test_an_npz_with_objects_or_a_false_promise_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", W_h=np.array([print], dtype=object))
    with pytest.raises(ValueError, match="only a pickle could restore"):
        diagnose(tmp_path / "a.npz")
    promise = {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)}
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, promise)
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("W_h.npy", content.getvalue())
    with pytest.raises(ValueError, match=r"it promises an array of shape \(1000000, 1000000\)"):
        diagnose(tmp_path / "b.npz")
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("readme.txt", "text")
    with pytest.raises(ValueError, match=r"it has 'readme\.txt', which is no array"):
        diagnose(tmp_path / "c.npz")
    with pytest.raises(ValueError, match="must be a file that exists, got the folder"):
        diagnose(tmp_path)
    with pytest.raises(ValueError, match="must be a file that exists, got '"):
        diagnose(tmp_path / "none.npz")


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_a_damaged_file_is_one_error_and_nothing_else(kind, tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / f"a.{kind}"
    arrays = lstm(2, rng).parameters()
    np.savez(path, **arrays) if kind == "npz" else safetensors(path, arrays)
    whole = path.read_bytes()
    for _ in range(150):
        damaged = bytearray(whole)
        for at in rng.integers(len(damaged), size=rng.integers(1, 4)):
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged[: rng.integers(len(damaged))] if rng.random() < 0.3 else damaged)
        try:
            diagnose(path, np.ones((3, 1, 3)))
        except (TypeError, ValueError) as error:
            assert str(error)


# Bad input.


def foreign(**methods):
    """A network of another class, whose state is its input, with some of its methods spoilt."""
    good = {
        "parameters": lambda: {"w": np.ones(2)},
        "forward": lambda x: np.concatenate([np.zeros_like(x[:1]), x]),
        "hidden": lambda h: h,
        "backward": lambda x, h, dh: SimpleNamespace(x=np.ones_like(x)),
    }
    return SimpleNamespace(**good | methods)


class Elsewhere:
    """A tensor that NumPy cannot read, as PyTorch's sparse ones."""

    shape = (4,)

    def __array__(self, *_, **__):
        raise TypeError("only .to_dense() has numbers")


X = {"x": np.ones((5, 1, 3))}
GOOD = {"W_x": np.ones((4, 3)), "W_h": np.eye(4), "b": np.zeros(4)}
BAD = [
    (np.ones((4, 4)), {}, TypeError, r"got one array of shape \(4, 4\)"),
    (None, {}, TypeError, r"network must have a method forward\(x\)"),
    (RNN, {}, TypeError, "network must be an object, got the class RNN"),
    ({}, {}, ValueError, "got no arrays"),
    ({"a": np.ones(2)}, {}, ValueError, r"network must have weights of the names .* got a"),
    ({1: np.ones(2)}, {}, ValueError, r"network must have weights of the names .* got 1"),
    (GOOD | {"W_h": np.ones((4, 3))}, {}, ValueError, r"W_h must have 1, 3 or 4 times as many rows"),
    (GOOD | {"W_h": np.ones(4)}, {}, ValueError, r"W_h must have 1, 3 or 4 times as many rows"),
    (GOOD | {"W_x": np.ones((5, 3))}, {}, ValueError, r"W_h must have shape \(5, 5\), got \(4, 4\)"),
    (GOOD | {"b": np.ones(3)}, {}, ValueError, r"b must have shape \(4,\), got \(3,\)"),
    (
        GOOD | {"W_h": np.eye(4, dtype=np.int8)},
        {},
        TypeError,
        "W_h must be of floats, got int8; of a quantised",
    ),
    (GOOD | {"W_h": np.array([None])}, {}, TypeError, "W_h must be an array of numbers"),
    (
        [np.ones((2, 2))],
        {},
        ValueError,
        r"as Keras's get_weights returns it, .* got arrays of shapes \(2, 2\)",
    ),
    ([], {}, ValueError, "got arrays of shapes none"),
    ({"weight_hh_l0._packed_params": "x"}, {}, ValueError, "is quantised"),
    (
        GOOD,
        {"x": np.ones((5, 3))},
        ValueError,
        r"x must have shape \(T, B, 3\), time, batch, feature, got \(5, 3\)",
    ),
    (
        GOOD,
        {"x": np.ones((5, 3), int)},
        ValueError,
        r"got \(5, 3\): give what reaches the recurrent layer, of tokens their embeddings",
    ),
    (
        in_float32(GOOD),
        {"x": np.full((5, 1, 3), -1e300)},
        ValueError,
        r"x must have numbers within the range of float32, .* at most 3.4e\+38 in size, got -1e\+300 at "
        r"index \(0, 0, 0\): scale x down, or give the weights in float64",
    ),
    pytest.param(
        GOOD,
        {"x": np.full((5, 1, 3), np.finfo(np.longdouble).max)},
        ValueError,
        r"x must have numbers within the range of float64, .* 1\.\d+e\+4932 at index \(0, 0, 0\): scale x "
        r"down$",
        marks=pytest.mark.skipif(
            np.finfo(np.longdouble).maxexp <= 1024, reason="no floats beyond float64 here"
        ),
    ),
    (GOOD | {"b": np.zeros(4, complex)}, {}, TypeError, "b must be of floats, got complex128$"),
    (GOOD | {"b": Elsewhere()}, {}, ValueError, "b must be an array, got Elsewhere: only .to_dense"),
    (GOOD, {"x": np.ones((5, 1, 4))}, ValueError, r"x must have shape \(T, B, 3\)"),
    (GOOD, {"x": np.ones((0, 1, 3))}, ValueError, r"x must have shape \(T, B, 3\)"),
    (GOOD, {"x": np.full((5, 1, 3), np.nan)}, ValueError, "x must be finite, got nan"),
    (GOOD, {"x": np.full((5, 1, 3), "a")}, TypeError, "x must be a numpy.ndarray of numbers, got <U1"),
    (GOOD, {"x": object()}, TypeError, "x must be an array of numbers"),
    (GOOD, {"x": np.ones((5, 1, 3)), "loss": 3}, TypeError, "loss must be a function"),
    (GOOD, {"loss": print}, ValueError, "loss must be measured on x, got no x"),
    (
        GOOD,
        {"x": np.ones((5, 1, 3)), "loss": lambda h: 1.0},
        TypeError,
        "loss must return a number and its gradient, got float",
    ),
    (
        GOOD,
        {"x": np.ones((5, 1, 3)), "loss": lambda h: (1.0, h[:2])},
        ValueError,
        r"the gradient that loss returns must have shape \(5, 1, 4\) or \(1, 4\)",
    ),
    (GOOD, {"history": "a"}, TypeError, "history must be a History"),
    (GOOD, {"history": object()}, TypeError, "history must be a History"),
    (GOOD, {"history": []}, ValueError, "history must have one norm"),
    (GOOD, {"history": {1.0, 2.0}}, TypeError, r"history must be a History .* got \{1.0, 2.0\}"),
    (GOOD, {"history": np.ones(3) * 1j}, TypeError, "history must be a History"),
    (GOOD, {"history": [None]}, TypeError, r"history must be a History .* got \[None\]"),
    (GOOD, {"history": np.ones((2, 2))}, ValueError, r"got shape \(2, 2\)"),
    (
        GOOD,
        {"history": SimpleNamespace(gradient_norm=np.ones(4), clipped=np.ones(9, bool))},
        ValueError,
        r"history.clipped must be of bool, and of shape \(4,\) as the norms, got bool and \(9,\)",
    ),
    (
        GOOD,
        {"x": np.ones((5, 1, 3)), "loss": lambda h: (None, h)},
        TypeError,
        "loss must return a number and its gradient, got NoneType, ndarray",
    ),
    (
        GOOD | {"W_h": np.ma.masked_equal(np.eye(4), 0)},
        {},
        TypeError,
        "W_h must be a numpy.ndarray, got MaskedArray",
    ),
    (GOOD, {"x": np.ma.masked_equal(np.ones((5, 1, 3)), 0)}, TypeError, "x must be .*, got MaskedArray"),
    (GOOD | {"W_h": [[1.0], [1.0, 2.0]]}, {}, ValueError, "W_h must be an array, got list"),
    (foreign(parameters=lambda: [1]), {}, TypeError, r"network.parameters\(\) must return a dict, got list"),
    (foreign(parameters=lambda: {"w": np.ones(2, int)}), {}, TypeError, "'w'.* must have dtype float32 or"),
    (foreign(hidden=lambda h: h[1:]), X, ValueError, r"hidden\(state\) must have shape \(6, 1, H\)"),
    (foreign(hidden=lambda h: None), X, ValueError, r"hidden\(state\) must be a numpy.ndarray"),
    (foreign(backward=lambda *_: None), X, ValueError, "network: 'NoneType' object has no attribute 'x'"),
    (
        foreign(backward=lambda *_: SimpleNamespace(x=np.ones((2, 1, 3)))),
        X,
        ValueError,
        r"network: backward\(x, state, dh\).x must have shape \(5, 1, 3\), got \(2, 1, 3\)",
    ),
    (GOOD, {"history": [-1.0]}, ValueError, "history must have one norm of at least 0"),
]


@pytest.mark.parametrize(("network", "more", "error", "message"), BAD)
def test_bad_input_is_named(network, more, error, message):
    with pytest.raises(error, match=message):
        diagnose(network, **more)


@pytest.mark.parametrize("seed", range(60))
def test_arrays_of_any_shape_are_diagnosed_or_refused_by_name(seed):
    rng = np.random.default_rng(seed)
    kind = [RNN, LSTM, GRU][seed % 3]
    network = random_network(kind, 3, rng)
    arrays = [
        dict(network.parameters()),
        torch_names(network, 0) | torch_names(network, 1, reverse=True),
        dict(zip(("a/kernel", "a/recurrent_kernel", "a/bias"), keras_arrays(network), strict=True)),
    ][seed % 2 + rng.integers(2)]
    for name in rng.permutation([*arrays])[: rng.integers(1, 3)]:
        spoil = rng.integers(7)
        if spoil == 0:
            del arrays[name]
        elif spoil == 1:
            arrays[name] = arrays[name].T
        elif spoil == 2:
            arrays[name] = rng.normal(size=rng.integers(0, 5, size=rng.integers(0, 4)))
        elif spoil == 3:
            arrays[name] = arrays[name].astype(rng.choice(["i1", "f2", "c16", "?", ">f4", "O"]))
        elif spoil == 4:
            arrays[name + "x"] = arrays.pop(name)
        else:
            arrays[name] = arrays[name] * [np.nan, np.inf, 1e300][spoil % 3]
    try:
        report = diagnose(arrays, np.ones((4, 2, 3)))
    except (TypeError, ValueError) as error:
        assert re.search(r"network|W_x|W_h|b_n|\bb\b|weight|bias|kernel", str(error))
    else:
        assert repr(report)
        assert json.dumps(report.as_dict(), allow_nan=False)


def module(**parts):
    """What of a PyTorch module is read: its arrays, and whether a part takes its batch first."""
    state = {
        f"{name}.{key}": a for name, (cell, _) in parts.items() for key, a in torch_names(cell, 0).items()
    }
    named = [(name, SimpleNamespace(batch_first=first)) for name, (_, first) in parts.items()]
    return SimpleNamespace(state_dict=lambda: state, named_modules=lambda: named)


def test_the_shape_that_x_must_have_is_in_the_order_of_the_network():
    rng = np.random.default_rng(0)
    three, five = (random_network(LSTM, 4, rng, width) for width in (3, 5))
    for network, expected in (
        (keras_model(three), r"\(B, T, 3\), batch, time, feature"),
        (module(a=(three, True)), r"\(B, T, 3\), batch, time, feature"),
        (module(a=(three, False)), r"\(T, B, 3\), time, batch, feature"),
        (module(a=(three, True), b=(five, True)), r"\(B, T, 3 or 5\), batch, time, feature"),
        (
            module(a=(three, True), b=(five, False)),
            r"\(B, T, 3\), batch, time, feature, or \(T, B, 5\), time, batch, feature",
        ),
    ):
        with pytest.raises(ValueError, match=rf"x must have shape {expected}, got \(2, 9, 4\)$"):
            diagnose(network, np.ones((2, 9, 4)))


def test_what_a_layer_of_float32_cannot_read_of_one_of_float64_is_said():
    large, small = (
        RNN(np.ones((1, 1), d), np.eye(1, dtype=d), np.zeros(1, d), "identity")
        for d in (np.float64, np.float32)
    )
    report = diagnose([large, small], np.full((5, 1, 1), 1e100))
    assert (report.verdict, report.where) == ("not finite", "layer 1")
    assert re.search("within the range of float32, .* got 1e.100 at", report.findings[0].what)


def test_x_in_the_order_of_batch_first_is_asked_about():
    report = diagnose(GOOD, np.ones((32, 100, 3)))
    assert any("x is read as 32 steps of 100 sequences" in note for note in report.notes)
    assert any("x has 32 steps: what vanishes or explodes over more is not seen" in n for n in report.notes)
    assert any(
        "dtype int64, and was converted" in note for note in diagnose(GOOD, np.ones((9, 1, 3), int)).notes
    )


@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_one_step_and_many(kind):
    network, rng = random_network(kind, 2, np.random.default_rng(0)), np.random.default_rng(0)
    (measured,) = diagnose(network, np.ones((1, 1, 3))).measurements
    assert len(measured.best) == 2
    assert measured.rate != 0
    report = diagnose(network, rng.normal(size=(1100, 7, 3)))
    assert len(report.measurements[0].best) == 1001
    assert any("the last 1000 steps of 1100" in note for note in report.notes)
    assert any("the first 4 sequences of 7" in note for note in report.notes)


def test_a_gradient_that_overflows_is_not_finite():
    network = RNN(np.full((1, 1), 1e-300), np.full((1, 1), 100.0), np.zeros(1), "identity")
    x = np.zeros((400, 1, 1))
    assert diagnose(network, x).verdict == "exploding"
    report = diagnose(network, x, loss=lambda h: (0.0, np.full_like(h, 1e-3)))
    assert (report.verdict, report.loss_gradient) == ("not finite", {})
    foreign = diagnose(Foreign(network), x)
    assert (foreign.verdict, foreign.complete) == ("not finite", False)


def test_a_product_that_overflows_is_not_finite():
    network = RNN(np.ones((2, 1)), np.full((2, 2), 1e308), np.zeros(2), "identity")
    report = diagnose(network, np.zeros((20, 1, 1)))
    assert "a product of step Jacobians overflows float64" in report.findings[0].what


def test_the_other_direction_of_one_that_overflows_is_measured():
    rng = np.random.default_rng(0)
    bad, good = (plain(W_h, rng, scale_x=1.0) for W_h in (np.full((4, 4), 3e38), orthogonal(4, rng)))
    arrays = torch_names(bad, 0) | torch_names(good, 0, reverse=True)
    report = diagnose(in_float32(arrays))
    assert (report.verdict, report.where) == ("not finite", "layer 0")
    assert {m.where for m in report.measurements} == {"layer 0, backward"}


def test_layers_with_something_between_them_are_measured_on_drawn_numbers():
    rng = np.random.default_rng(0)
    report = diagnose([random_network(RNN, 4, rng), random_network(RNN, 4, rng, I=6)], np.ones((9, 1, 3)))
    assert len(report.measurements) == 2
    assert any("what is between them is not given" in note for note in report.notes)


def test_where_it_is_not_finite():
    W_h = np.eye(4)
    W_h[2, 1] = np.inf
    report = diagnose(GOOD | {"W_h": W_h})
    assert report.findings[0].what == "W_h has 1 of 16 entries not finite, the first inf at (2, 1)"
    report, _ = report_on("float32 overflow", 4, 0)
    assert "overflows float32" in report.findings[0].what


# The report.


def test_the_history_of_the_norms():
    spikes = np.ones(100)
    spikes[40] = 5000.0
    healthy = lstm(4, np.random.default_rng(0), f=5)
    report = diagnose(healthy, history=spikes)
    assert (report.verdict, report.where) == ("exploding", "training")
    assert "5e+03 at update 40" in report.findings[0].what
    assert report.training["threshold"] == 0.5  # of the norms without the spike
    history = SimpleNamespace(gradient_norm=np.ones(4), clipped=np.array([True, False, False, False]))
    report = diagnose(healthy, history=history)
    assert (report.verdict, report.training["clip rate"]) == ("healthy", 0.25)
    history.clipped = np.ones(4, bool)
    assert any("all updates were clipped" in note for note in diagnose(healthy, history=history).notes)
    assert diagnose(healthy, history=[1.0, np.nan]).verdict == "not finite"
    for norms in (np.ones(3), np.ones(0)):  # of `fit`: an update that could not be computed has no entry
        history = SimpleNamespace(gradient_norm=norms, clipped=norms > 1, outcome="diverged")
        report = diagnose(healthy, history=history)
        assert report.findings[0].what == f"training diverged at update {len(norms)}"
    report = diagnose(healthy, history=[1e-320] * 5 + [1e308] * 2)
    assert report.verdict == "exploding"
    assert diagnose(healthy, history=[0.0, 0.0, 1.0]).verdict == "vanishing"


def test_the_gradient_of_a_loss():
    rng = np.random.default_rng(0)
    network, x = random_network(LSTM, 4, rng), rng.normal(size=(12, 2, 3))
    report = diagnose(network, x, loss=lambda h: (0.5 * np.sum(h[-1] ** 2), h[-1]))
    state = network.forward(x)
    dx = network.backward(x, state, state.h[-1]).x
    assert report.loss_gradient["network"] == pytest.approx(np.linalg.norm(dx, axis=(1, 2)))
    assert diagnose(network, x, loss=lambda h: (np.nan, h)).verdict == "not finite"
    flat = diagnose(network, x, loss=lambda h: (1.0, np.zeros_like(h)))
    assert "loss" in {finding.where for finding in flat.findings}


def test_a_loss_is_measured_on_x_or_it_is_said_that_it_is_not():
    rng, seen = np.random.default_rng(0), []
    loss = lambda h: (0.0, seen.append(h) or np.ones_like(h))  # noqa: E731
    x, encoder, decoder = np.ones((9, 1, 3)), random_network(RNN, 4, rng), random_network(RNN, 4, rng, I=5)
    arrays = [
        {f"{g}.{n}": a for n, a in net.parameters().items()} for g, net in (("e", encoder), ("d", decoder))
    ]
    report = diagnose(arrays[0] | arrays[1], x, loss=loss)
    assert [h.shape for h in seen] == [(9, 1, 4)]
    assert [*report.loss_gradient] == ["e"]
    assert not any("loss was not measured" in note for note in report.notes)
    top = torch_names(random_network(RNN, 4, rng, I=4), 1)
    report = diagnose(torch_names(encoder, 0) | top | {"weight_hh_l1": np.full((4, 4), np.nan)}, x, loss=loss)
    assert len(seen) == 1
    assert any("loss was not measured" in note for note in report.notes)


def test_norms_that_fall_in_training_are_no_explosion():
    healthy = lstm(4, np.random.default_rng(0), f=5)
    falling = np.logspace(0, -9, 1000)
    report = diagnose(healthy, history=falling)
    assert (report.verdict, report.training["threshold"]) == ("healthy", pytest.approx(falling.mean() / 2))
    for spike in (600, 999):
        norms = falling.copy()
        norms[spike] = 50.0
        report = diagnose(healthy, history=norms)
        assert report.verdict == "exploding"
        assert f"reaches 50 at update {spike}" in report.findings[0].what
        assert report.training["threshold"] == pytest.approx(falling.mean() / 2, rel=0.01)
    assert diagnose(healthy, history=falling[::-1]).verdict == "exploding"


def noisy(rng, size=200, spread=0.5):
    return np.exp(spread * rng.normal(size=size))


@pytest.mark.parametrize("seed", range(5))
def test_norms_ten_times_those_around_them_are_spikes(seed):
    norms = noisy(np.random.default_rng(seed), spread=0.3)
    usual = diagnose(HEALTHY, history=norms)
    norms[[50, 120, 180]] = 15.0, 20.0, 15.0
    report = diagnose(HEALTHY, history=norms)
    assert report.verdict == "healthy"
    (finding,) = report.findings
    assert (finding.name, finding.where) == ("spikes", "training")
    assert "the gradient's norm spikes at 3 of 200 updates: it is 20 at update 120, " in finding.what
    assert report.training["threshold"] == pytest.approx(usual.training["threshold"], rel=0.05)
    for text in (repr(report), unescape(re.sub("<.*?>", "", report._repr_html_()))):
        assert text.startswith("healthy, but the gradient's norm spikes")
        assert text.count("spikes at") == 1
    assert report.action.startswith("look at the batch of update 120; clip by norm, with a threshold of 0.5")
    assert (report.proof, report.link) == (finding.proof, "wont_train.html#see-spikes")
    history = SimpleNamespace(gradient_norm=norms, clipped=norms > 10)
    assert "does not make it right" in diagnose(HEALTHY, history=history).action
    ill = diagnose(lstm(4, np.random.default_rng(0), f=-5), history=norms)
    assert [f.name for f in ill.findings] == ["forgets", "spikes"]


@pytest.mark.parametrize("seed", range(20))
def test_what_has_no_spikes_is_said_to_have_none(seed):
    rng = np.random.default_rng(seed)
    for shape in (1.0, np.logspace(0, -6, 200), np.logspace(0, 2, 200), np.repeat([1.0, 100.0], 100)):
        report = diagnose(HEALTHY, history=shape * noisy(rng))  # 1 in 400,000 is ten times the median
        assert not [f for f in report.findings if f.name == "spikes"]
    start = noisy(rng)
    start[:8] *= 50.0  # the first updates of many a training
    assert diagnose(HEALTHY, history=start).findings == ()


def test_all_arrays_that_are_not_finite_are_named():
    report = diagnose(GOOD | {"W_x": np.full((4, 3), np.nan), "b": np.full(4, np.inf)})
    assert [finding.what.split()[0] for finding in report.findings] == ["W_x", "b"]
    assert not any("drawn input" in note for note in report.notes)


@pytest.mark.parametrize(
    "name", ["chaos", "orthogonal, linear", "a NaN", "bad layer of three", "float32 overflow"]
)
def test_a_report_in_words_tables_and_json(name):
    report, verdict = report_on(name, 16, 0)
    text = repr(report)
    assert text.startswith(verdict)
    unwrapped = " ".join(text.split())
    for said in (report.action, report.proof, *(finding.what for finding in report.findings), *report.notes):
        assert said in unwrapped
    tables = {line for _, body in report._tables() for line in repr(body).splitlines()}
    assert all(len(line) <= 80 for line in text.splitlines() if line not in tables)
    assert f"<strong>{verdict}" in report._repr_html_()
    plain = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert plain["verdict"] == verdict
    assert len(plain["measurements"]) == len(report.measurements)


HEALTHY = lstm(4, np.random.default_rng(0), f=5)


def test_what_is_sent_back_and_what_is_left_are_not_mixed_up():
    html = report_on("orthogonal times 0.8", 8, 0)[0]._repr_html_()
    assert "φ′ leaves" in html
    assert "W_h gives" in html
    assert "takes" not in html


@pytest.mark.parametrize("name", ["orthogonal times 0.8", "LSTM, open", "chaos"])
def test_numbers_of_a_report_do_not_wrap(name):
    report, _ = report_on(name, 100, 0)
    for _, body in report._tables():
        for row in body.rows:
            for entry, number in zip(row, body.numeric, strict=True):
                assert number or not re.match(r"(≥ )?-?\d", entry), f"{entry}, {body}"


def test_numbers_in_sentences_do_not_wrap():
    html = report_on("orthogonal times 0.8", 8, 0)[0]._repr_html_()
    assert re.search(r'keeps <span style="white-space: nowrap">\de-\d\d</span> of', html)


def test_the_notes_have_a_heading_in_a_notebook_too():
    assert "<p>Notes</p>\n<ul>" in diagnose(HEALTHY)._repr_html_()


@pytest.mark.parametrize("H", [1, 2, 8, *(pytest.param(H, marks=pytest.mark.deep) for H in (40, 100))])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_is_shown_as_0(H, dtype):
    rng = np.random.default_rng(0)
    Q = orthogonal(H, rng).astype(dtype)
    for scale in (1.0, 1e-3, 1e3):
        assert diagnose({"W_h": dtype(scale) * Q, "W_x": np.zeros((H, 3), dtype)}).blocks[0].departure == 0
    report = diagnose(RNN(np.ones((H, 3), dtype), Q, np.zeros(H, dtype), "identity"), np.ones((40, 2, 3)))
    rows = dict(report._tables())["Gradients"]
    assert rows.rows[0][rows.headings.index("Lyapunov rate")] == "0"
    sheared = Q + dtype(1e-3) * np.eye(H, k=1, dtype=dtype)
    assert H == 1 or diagnose({"W_h": sheared, "W_x": np.zeros((H, 3), dtype)}).blocks[0].departure > 1e-5


def test_a_loss_is_seen_in_the_report():
    network, x = random_network(LSTM, 4, np.random.default_rng(0)), np.ones((12, 2, 3))
    assert "Gradient of the loss" not in repr(diagnose(network, x))
    report = diagnose(network, x, loss=lambda h: (0.5 * np.sum(h[-1] ** 2), h[-1]))
    norms = report.loss_gradient["network"]
    row = ("network", *(f"{n:.3g}" for n in (norms[0], norms[-1], norms.min(), norms.max())))
    assert row in next(body for title, body in report._tables() if title.startswith("Gradient of the")).rows
    assert "Gradient of the loss" in repr(report)
    assert "Gradient of the loss" in report._repr_html_()


def test_a_loss_that_could_not_be_used_is_named():
    weights = torch_names(lstm(4, np.random.default_rng(0)), 0)
    weights |= {
        "weight_hh_l1": np.ones((16, 2)),
        "weight_ih_l1": np.ones((16, 4)),
        "weight_hr_l1": np.ones((2, 4)),
    }
    report = diagnose(weights, np.ones((12, 2, 3)), loss=lambda h: (1.0, h))
    assert report.loss_gradient == {}
    assert "the loss was not measured: x does not get to the top layer" in report.notes


def test_a_threshold_is_one_to_begin_with():
    report = diagnose(HEALTHY, history=[1.0, 2.0])
    assert report.training["threshold"] == 0.75
    assert ("threshold to begin with", "0.75") in dict(report._tables())["Training"].rows


def test_one_network_has_one_name(tmp_path):
    network, x = random_network(LSTM, 4, np.random.default_rng(0)), np.ones((12, 2, 3))
    np.savez(tmp_path / "a.npz", **network.parameters())
    kernel, recurrent, bias = keras_arrays(network)
    by_name = {"kernel": kernel, "recurrent_kernel": recurrent, "bias": bias}
    for form in (
        network,
        [network],
        network.parameters(),
        tmp_path / "a.npz",
        torch_names(network, 0),
        [kernel, recurrent, bias],
        by_name,
    ):
        report = diagnose(form, x)
        assert {m.where for m in report.measurements} == {"network"}


def test_healthy_says_that_a_gradient_is_not_yet_information():
    note = "a gradient that arrives is not yet information that arrives"
    assert any(note in said for said in diagnose(HEALTHY).notes)
    for name in ("PyTorch's default", "chaos", "a NaN"):
        assert not any(note in said for said in report_on(name, 16, 0)[0].notes)


def clipping(rate, network=HEALTHY):
    clipped = np.arange(100) < 100 * rate
    return diagnose(network, history=SimpleNamespace(gradient_norm=np.ones(100), clipped=clipped))


def test_healthy_does_not_hide_that_training_clips():
    report = clipping(0.97)
    assert report.verdict == "healthy"
    for text in (repr(report), re.sub("<.*?>", "", report._repr_html_())):
        assert text.startswith("healthy, but training clipped 97% of its updates")
    assert report.action.startswith("look at the threshold and the learning rate first; nothing wrong with")
    assert report.link
    rate = SimpleNamespace(gradient_norm=np.full(3, 2.0), clipped=np.ones(3, bool))
    assert "clipped 100% of" in repr(diagnose(HEALTHY, history=rate))
    (note,) = [note for note in report.notes if "clipped" in note]
    assert "of plain SGD" in note
    assert "of Adam, or with momentum, they have not" in note
    for seldom in (clipping(0.9), diagnose(HEALTHY)):
        assert repr(seldom).startswith("healthy: ")
        assert (seldom.action, seldom.link) == (report.action.partition("; ")[2], "")
    ill = clipping(0.97, lstm(4, np.random.default_rng(0), f=-5))
    assert repr(ill).startswith("forgets, network: ")


def test_healthy_says_to_look_elsewhere():
    report, _ = report_on("LSTM, open", 16, 0)
    assert report.action == "nothing wrong with its gradients at the start: look elsewhere"
    assert (report.where, report.link, report.findings) == ("", "", ())


def test_a_report_has_a_figure():
    report, _ = report_on("bad layer of three", 8, 0)
    (axes,) = report.figure().axes
    assert axes.get_ylabel() == figures.style.jacobian("h")
    network = random_network(LSTM, 3, np.random.default_rng(0))
    assert diagnose(network).figure().axes[0].get_ylabel() == figures.style.jacobian("h", "s")
    assert {text.get_text() for text in axes.texts} >= {f"layer {layer}" for layer in range(3)}
    assert '<img alt="How much' in report._repr_html_()
    assert report._repr_html_() == report_on("bad layer of three", 8, 0)[0]._repr_html_()
    with pytest.raises(ValueError, match="a figure needs a layer that could be run"):
        report_on("a NaN", 4, 0)[0].figure()


SAYS = {  # what the place of a finding must speak of
    "not finite": "NaN",
    "dead units": "ReLU.* dead",
    "chaotic": "satur|chao|explod|every term",
    "exploding": "explo|clip|grow|every term",
    "saturated": "satur|limit|gate",
    "transient growth": "normal",
    "forgets": "forget|gate|mean",
    "vanishing": "edge|vanish|step",
    "forget bias": "bias",
    "spikes": "spike",
}


def test_every_verdict_and_every_link_is_there():
    from rnn_notes.report import LINKS, MEASURE, NO_VERDICTS, SECTIONS

    assert {verdict for _, _, verdict, *_ in TROUBLE.values()} == set(VERDICTS) - {"not measured"}
    assert {name for name in LINKS if isinstance(name, str)} == set(VERDICTS) - {
        "healthy",
        "not measured",
    } | {*NO_VERDICTS}
    docs = Path(__file__).parents[1] / "docs"
    for key, link in LINKS.items():
        page, _, anchor = link.partition("#")
        text = (docs / page.replace(".html", ".md")).read_text(encoding="utf-8")
        _, found, place = text.partition(f"\n({anchor})=\n")
        assert found, link
        place = re.split(r"\n\([\w-]+\)=\n#", place)[0]
        assert re.search(SAYS[key if isinstance(key, str) else key[0]], place), f"{key}, {link}"
    assert {*LINKS.values(), clipping(1.0).link, MEASURE} == SECTIONS.keys()
    for link, title in SECTIONS.items():
        page, _, anchor = link.partition("#")
        text = (docs / page.replace(".html", ".md")).read_text(encoding="utf-8")
        assert re.search(rf"\n\({anchor}\)=\n#+ {re.escape(title)}\n", text), link


def test_the_place_in_the_lectures_can_be_found_where_no_link_leads_there():
    report = report_on("shear below 1", 8, 0)[0]
    said = 'In the lectures of rnn-notes: "How far a power can rise", eigenvalues.html#far-from-normal.'
    assert said in " ".join(repr(report).split())
    assert said in unescape(re.sub("<.*?>", "", report._repr_html_()))
    for shown in (report, clipping(0.97)):
        assert "href" not in shown._repr_html_()  # in a notebook there is nothing at that address
        plain = shown.as_dict()
        assert plain["section"] == shown.section != ""
        assert all(
            f["section"] == own.section for f, own in zip(plain["findings"], shown.findings, strict=True)
        )
    assert diagnose(HEALTHY).section == ""


# The command.


def run(*arguments):
    command = [sys.executable, "-m", "rnn_notes", *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", env={**os.environ, "PYTHONUTF8": "1"}
    )
    return done.returncode, done.stdout, done.stderr


def test_the_command(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "bad.npz", **plain(normal(4, rng, 0.5), rng).parameters())
    np.savez(tmp_path / "good.npz", **lstm(4, rng, f=5).parameters())
    np.save(tmp_path / "x.npy", rng.normal(size=(30, 2, 3)))
    code, out, err = run("diagnose", tmp_path / "bad.npz")
    assert (code, err) == (1, "")
    assert out.startswith("vanishing, network: ")
    code, out, err = run("diagnose", tmp_path / "good.npz", "--input", tmp_path / "x.npy", "--json")
    assert (code, err) == (0, "")
    assert [m["input"] for m in json.loads(out)["measurements"]] == ["x"]
    for arguments in (
        ["none.npz"],
        [tmp_path / "x.npy"],
        [tmp_path / "bad.npz", "--input", tmp_path / "bad.npz"],
    ):
        code, out, err = run("diagnose", *arguments)
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert err.count("\n") == 1
