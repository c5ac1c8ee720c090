"""Forward and full backward of the three networks, beside their bare matrix products and PyTorch.

Run it with ``make bench``: float32, one thread, one process, I = H, a loss on every step, gradients for all
parameters, the input and the initial states. The ratios of the medians follow the dots. In the tables, the
number in parentheses is the ratio to the fastest of the group.
"""

import os
import subprocess
import sys

# One thread, set before NumPy is loaded. Not when a test run only looks for doctests in here.
if any("bench_" in argument for argument in sys.argv):
    if "numpy" in sys.modules and os.environ.get("OMP_NUM_THREADS") != "1":
        raise RuntimeError("NumPy is already loaded: run with OMP_NUM_THREADS=1")
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import pytest

from rnn_notes import GRU, LSTM, RNN

NETWORKS = {"RNN": (RNN, 1), "LSTM": (LSTM, 4), "GRU": (GRU, 3)}
SIZES = [  # network, T, B, H
    ("RNN", 100, 20, 100),
    ("RNN", 50, 20, 50),
    ("RNN", 100, 128, 256),
    ("LSTM", 100, 20, 100),
    ("LSTM", 400, 20, 100),
    ("LSTM", 100, 128, 256),
    ("GRU", 100, 20, 100),
    ("GRU", 400, 20, 100),
    ("GRU", 100, 128, 256),
]
CURVES = [  # network, what grows, its values
    (name, axis, values)
    for name in NETWORKS
    for axis, values in [("T", (50, 100, 200, 400, 800)), ("B", (16, 32, 64, 128, 256))]
] + [(name, "window", (20, 40, 80)) for name in NETWORKS]


def case(name, T, B, H):
    """Return the network, x and dh, with PyTorch's default weights."""
    rng = np.random.default_rng(0)
    kind, gates = NETWORKS[name]
    shapes = [(gates * H, H), (gates * H, H), (gates * H,)] + [(H,)] * (kind is GRU)  # b_n
    limit = H**-0.5
    network = kind(*(rng.uniform(-limit, limit, shape).astype(np.float32) for shape in shapes))
    x, dh = rng.standard_normal((2, T, B, H), dtype=np.float32)
    return network, x, dh


def run(network, x, dh, **options):
    state = network.forward(x)
    return state, network.backward(x, state, dh, **options)


def bare_products(network, x, dh):
    """Return a function that does the matrix products of `run`, into arrays made before, and nothing else."""
    T, B, H = dh.shape
    rows, h = x.reshape(T * B, H), network.hidden(network.forward(x))
    W_x, W_h, W_h_T = network.W_x, network.W_h, np.ascontiguousarray(network.W_h.T)
    z = np.random.default_rng(0).standard_normal((T, B, len(W_h)), dtype=np.float32)
    dz, flat = z.reshape(T * B, -1), np.empty((T * B, len(W_h)), np.float32)
    z_t, h_t, weights, inputs = (np.empty_like(a) for a in (z[0], h[0], W_h, rows))

    def products():
        np.dot(rows, W_x.T, out=flat)
        for t in range(T):
            np.dot(h[t], W_h_T, out=z_t)
        for t in reversed(range(T)):
            np.dot(z[t], W_h, out=h_t)
        np.dot(dz.T, rows, out=weights)
        np.dot(dz.T, h[:-1].reshape(T * B, H), out=weights)
        np.dot(dz, W_x, out=inputs)

    return products


def torch_run(network, x, dh):
    """Return a function that does `run` in PyTorch, after a check that the results agree."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.set_num_threads(1)
    _, B, H = dh.shape
    state, gradients = run(network, x, dh)
    ours = {"h": network.hidden(state)[1:]} | vars(gradients)
    theirs = getattr(torch.nn, type(network).__name__)(H, H)
    leaves = dict(zip(["W_x", "W_h", "b", "b_h"], theirs.parameters(), strict=True))
    values = network.parameters()
    values["b_h"] = (
        np.concatenate([0 * network.b[: 2 * H], values.pop("b_n")]) if "b_n" in values else 0 * network.b
    )
    with torch.no_grad():
        for name, leaf in leaves.items():
            leaf.copy_(torch.from_numpy(values[name]))
    starts = {name: torch.zeros(1, B, H, requires_grad=True) for name in ("h0", "c0") if name in ours}
    leaves |= {"x": torch.from_numpy(x).requires_grad_()} | starts
    dh_t = torch.from_numpy(dh)

    def go():
        for leaf in leaves.values():
            leaf.grad = None
        states, _ = theirs(leaves["x"], tuple(starts.values()) if len(starts) == 2 else starts["h0"])
        states.backward(dh_t)
        return states

    expected = {"h": go().detach()} | {name: leaf.grad for name, leaf in leaves.items()}
    if "b_n" in ours:
        expected["b_n"] = expected["b_h"][2 * H :]
    for name, mine in ours.items():
        other = expected[name].numpy().reshape(mine.shape)
        assert np.abs(mine - other).max() < 1e-4 * np.abs(other).max(), name
    return go


CONTENDERS = {
    "rnn_notes": lambda *work: lambda: run(*work),
    "matrix products": bare_products,
    "torch": torch_run,
}


@pytest.fixture(scope="module", autouse=True)
def steady_memory():
    """Have malloc keep freed memory, as it does in any process that has once freed a large array."""
    np.ones(4_000_000)


@pytest.fixture(scope="module")
def lines(request):
    """Collect lines and print them at the end."""
    collected = []
    yield collected
    with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        print("", *collected, sep="\n")


@pytest.fixture(scope="module")
def medians(lines):
    """Collect {group: {contender: median}}, and say the ratios at the end."""
    collected = {}
    yield collected
    for group, median in collected.items():
        ours = median.pop("rnn_notes", np.nan)
        ratios = [f"{ours / theirs:.2f} of {name} ({1e3 * theirs:.1f} ms)" for name, theirs in median.items()]
        lines.append(f"{group}: rnn_notes takes {1e3 * ours:.1f} ms, {', '.join(ratios)}")


@pytest.fixture(scope="module")
def curves(lines):
    """Collect {group: {size: median}}, and say the multiples of the first at the end."""
    collected = {}
    yield collected
    for group, median in collected.items():
        first, *_ = median.values()
        points = ", ".join(f"{size} takes {time / first:.1f}" for size, time in median.items())
        lines.append(f"{group}: {points}")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "{} T={} B={} H={}".format(*size))
@pytest.mark.parametrize("contender", CONTENDERS)
def test_speed(benchmark, medians, size, contender):
    group = benchmark.group = "{} T={} B={} H={}".format(*size)
    benchmark(CONTENDERS[contender](*case(*size)))
    if benchmark.enabled:
        medians.setdefault(group, {})[contender] = benchmark.stats.stats.median


@pytest.mark.parametrize(
    ("name", "axis", "value"), [(name, axis, value) for name, axis, values in CURVES for value in values]
)
def test_cost_is_linear(benchmark, curves, name, axis, value):
    size = {"T": 100, "B": 20, "H": 100} | ({axis: value} if axis in "TB" else {})
    options = {} if axis in "TB" else {axis: value}
    group = benchmark.group = f"{name}, {axis} grows"
    benchmark(run, *case(name, **size), **options)
    if benchmark.enabled:
        curves.setdefault(group, {})[value] = benchmark.stats.stats.median


@pytest.mark.parametrize("package", ["rnn_notes", "numpy"])
def test_import(benchmark, medians, package, tmp_path_factory):
    group = benchmark.group = "start of Python and import"
    folder = str(tmp_path_factory.mktemp("compiled"))
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": folder}
    command, options = [sys.executable, "-c", f"import {package}"], {"env": environment, "check": True}
    benchmark.pedantic(subprocess.run, [command], options, rounds=20, warmup_rounds=1)
    if benchmark.enabled:
        medians.setdefault(group, {})[package] = benchmark.stats.stats.median
