"""Forward and full backward of the tanh RNN, beside its bare matrix products and `torch.nn.RNN`.

Run it with ``pytest tests/bench_rnn.py``: float32, one thread, one process, I = H, a loss on every step,
gradients for all parameters, x and h0. The ratios of the medians follow the dots. In the tables, the number
in parentheses is the ratio to the fastest of the group.
"""

import os
import sys

# One thread, set before NumPy is loaded. Not when a test run only looks for doctests in here.
if any("bench_" in argument for argument in sys.argv):
    if "numpy" in sys.modules and os.environ.get("OMP_NUM_THREADS") != "1":
        raise RuntimeError("NumPy is already loaded: run with OMP_NUM_THREADS=1")
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import pytest

from rnn_notes import RNN

SIZES = [(100, 20, 100), (50, 20, 50), (100, 128, 256)]  # T, B, H
LENGTHS = [100, 200, 400, 800]
WINDOWS = [1, 10, 99, None]


def case(T, B, H):
    """Return the network, x and dh, with weights of PyTorch's default size."""
    rng = np.random.default_rng(0)
    weights = [rng.uniform(-1, 1, shape) / np.sqrt(H) for shape in [(H, H), (H, H), H]]
    rnn = RNN(*(w.astype(np.float32) for w in weights))
    x, dh = rng.standard_normal((2, T, B, H), dtype=np.float32)
    return rnn, x, dh


def run(rnn, x, dh, window=None):
    h = rnn.forward(x)
    return h, rnn.backward(x, h, dh, window)


def bare_products(rnn, x, dh):
    """Return a function that does the matrix products of `run`, into arrays made before, and nothing else."""
    T, B, H = dh.shape
    rows, h, dz = x.reshape(T * B, H), run(rnn, x, dh)[0], dh.reshape(T * B, H)
    W_x, W_h, W_h_T = rnn.W_x, rnn.W_h, np.ascontiguousarray(rnn.W_h.T)
    large, small, weights = np.empty_like(rows), np.empty_like(h[0]), np.empty_like(W_h)

    def products():
        np.dot(rows, W_x.T, out=large)
        for t in range(T):
            np.dot(h[t], W_h_T, out=small)
        for t in reversed(range(T)):
            np.dot(dh[t], W_h, out=small)
        np.dot(dz.T, rows, out=weights)
        np.dot(dz.T, h[:-1].reshape(T * B, H), out=weights)
        np.dot(dz, W_x, out=large)

    return products


def torch_run(rnn, x, dh):
    """Return a function that does `run` in PyTorch, after a check that the results agree."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.set_num_threads(1)
    _, B, H = dh.shape
    theirs = torch.nn.RNN(H, H)
    parameters = [theirs.weight_ih_l0, theirs.weight_hh_l0, theirs.bias_ih_l0, theirs.bias_hh_l0]
    with torch.no_grad():
        for parameter, value in zip(parameters, [rnn.W_x, rnn.W_h, rnn.b, 0 * rnn.b], strict=True):
            parameter.copy_(torch.from_numpy(value))
    x_t, h0_t = torch.from_numpy(x).requires_grad_(), torch.zeros(1, B, H, requires_grad=True)
    dh_t, leaves = torch.from_numpy(dh), [*parameters[:3], x_t, h0_t]

    def go():
        for leaf in [*leaves, parameters[3]]:
            leaf.grad = None
        states, _ = theirs(x_t, h0_t)
        states.backward(dh_t)
        return states

    h, gradients = run(rnn, x, dh)
    ours = [h[1:], *(getattr(gradients, name) for name in ("W_x", "W_h", "b", "x", "h0"))]
    for mine, other in zip(ours, [go(), *(leaf.grad for leaf in leaves)], strict=True):
        other = other.detach().numpy().reshape(mine.shape)
        assert np.abs(mine - other).max() < 1e-4 * np.abs(other).max()
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
def medians(request):
    """Collect {size: {contender: median}} and print the ratios at the end."""
    collected = {}
    yield collected
    with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        for group, median in collected.items():
            ours = median.pop("rnn_notes", np.nan)
            ratios = ", ".join(f"{ours / theirs:.2f} of {name}" for name, theirs in median.items())
            print(f"\n{group}: the time of rnn_notes is {ratios}", end="")
        print()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "T={} B={} H={}".format(*size))
@pytest.mark.parametrize("contender", CONTENDERS)
def test_speed(benchmark, medians, size, contender):
    benchmark.group = "T={} B={} H={}".format(*size)
    benchmark(CONTENDERS[contender](*case(*size)))
    if benchmark.enabled:
        medians.setdefault(benchmark.group, {})[contender] = benchmark.stats.stats.median


@pytest.mark.parametrize("T", LENGTHS)
def test_cost_is_linear_in_length(benchmark, T):
    benchmark.group = "length T, B=20 H=100: doubling T doubles the time"
    benchmark(run, *case(T, 20, 100))


@pytest.mark.parametrize("window", WINDOWS)
def test_cost_of_a_window(benchmark, window):
    benchmark.group = "window, T=100 B=20 H=100: linear in the window"
    benchmark(run, *case(100, 20, 100), window)
