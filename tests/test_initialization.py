"""Where weights start: distributions, spectral radii, and the defaults of PyTorch, Keras and min-char-rnn."""

import re
from functools import partial
from inspect import signature
from math import erf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numerics import random_runs, seeds

from rnn_notes import (
    INITIALIZERS,
    LSTM,
    RNN,
    framework_default,
    glorot_uniform,
    identity_matrix,
    random_normal,
    random_orthogonal,
    random_uniform,
    spectral_radius,
)

FRAMEWORKS = ("pytorch", "keras", "min-char-rnn")

every_initializer = pytest.mark.parametrize("initialize", INITIALIZERS.values(), ids=INITIALIZERS)
every_framework = pytest.mark.parametrize("framework", FRAMEWORKS)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
every_gates = pytest.mark.parametrize("gates", [1, 4])


def assert_distributed(sample, distribution):
    """Assert that independent numbers have this distribution function; by chance it fails 1 time in 10⁵."""
    sample = np.sort(sample, axis=None)
    middle_of_steps = (np.arange(sample.size) + 0.5) / sample.size
    distance = np.abs(np.vectorize(distribution)(sample) - middle_of_steps).max()
    assert distance < 2.5 / sqrt(sample.size)  # Kolmogorov's limit: 2 exp(-2 · 2.5²) = 7e-6


def normal(std):
    return lambda x: (1 + erf(x / std / sqrt(2))) / 2


def uniform(limit):
    return lambda x: min(max((x / limit + 1) / 2, 0), 1)


def sum_of_two_uniforms(limit):
    """Return the distribution function of the triangle on [-2 limit, 2 limit]."""
    return lambda x: 0.5 + x / (2 * limit) - x * abs(x) / (8 * limit**2)


# Initializers


@every_dtype
@pytest.mark.parametrize(
    ("initialize", "distribution"),
    [
        (random_normal, normal(1)),
        (partial(random_normal, std=0.01), normal(0.01)),
        (random_uniform, uniform(1)),
        (partial(random_uniform, limit=0.2), uniform(0.2)),
        (glorot_uniform, uniform(sqrt(6 / (60 + 90)))),
    ],
    ids=["normal", "normal-0.01", "uniform", "uniform-0.2", "glorot"],
)
def test_distribution_of_the_entries(initialize, distribution, dtype):
    W = initialize((60, 90), np.random.default_rng(0), dtype=dtype)
    assert (W.shape, W.dtype) == ((60, 90), dtype)
    assert_distributed(W, distribution)
    assert len(np.unique(W)) > 5300


@every_dtype
def test_mean_and_standard_deviation(dtype):
    """Within five standard errors: σ/√N for the mean and σ/√(2N), at most, for the deviation."""
    for initialize, std in (
        (partial(random_normal, std=3.0), 3),
        (partial(random_uniform, limit=0.5), 0.5 / sqrt(3)),
        (glorot_uniform, sqrt(2 / (100 + 200))),
    ):
        W = initialize((100, 200), np.random.default_rng(1), dtype=dtype).astype(float)
        assert abs(W.mean()) < 5 * std / sqrt(W.size)
        assert abs(W.std() - std) < 5 * std / sqrt(2 * W.size)


@every_dtype
@random_runs
@given(rows=st.integers(1, 30), columns=st.integers(1, 30), limit=st.floats(1e-3, 1e3), seed=seeds)
def test_limits(dtype, rows, columns, limit, seed):
    tolerance = 1 + np.finfo(dtype).eps
    rng = np.random.default_rng(seed)
    entries = random_uniform((rows, columns), rng, limit=limit, dtype=dtype)
    assert np.abs(entries).max() <= limit * tolerance
    entries = glorot_uniform((rows, columns), rng, dtype=dtype)
    assert np.abs(entries).max() <= sqrt(6 / (rows + columns)) * tolerance


@every_dtype
def test_scale_multiplies(dtype):
    for initialize, name in ((random_normal, "std"), (random_uniform, "limit"), (identity_matrix, "scale")):
        W = initialize(5, np.random.default_rng(0), dtype=dtype)
        for scale in (0.25, 2, np.float32(0.5)):  # powers of two: exact
            scaled = initialize(5, np.random.default_rng(0), dtype=dtype, **{name: scale})
            assert scaled.dtype == dtype
            np.testing.assert_array_equal(scaled, dtype(scale) * W)


def test_identity():
    np.testing.assert_array_equal(identity_matrix(3), np.eye(3))
    np.testing.assert_array_equal(identity_matrix((2, 3), scale=0.01), [[0.01, 0, 0], [0, 0.01, 0]])
    np.testing.assert_array_equal(identity_matrix((3, 2), np.random.default_rng(0)), [[1, 0], [0, 1], [0, 0]])
    rng, untouched = np.random.default_rng(0), np.random.default_rng(0)
    identity_matrix(3, rng)
    assert rng.random() == untouched.random()


def test_initializers_have_these_names():
    expected = {
        "normal": random_normal,
        "uniform": random_uniform,
        "glorot": glorot_uniform,
        "identity": identity_matrix,
        "orthogonal": random_orthogonal,
    }
    assert expected == INITIALIZERS


@every_initializer
@every_dtype
@pytest.mark.parametrize(
    ("shape", "expected"),
    [(4, (4, 4)), (np.int64(4), (4, 4)), (1, (1, 1)), ((4, 6), (4, 6)), ((6, 4), (6, 4)), ((1, 5), (1, 5))],
    ids=str,
)
def test_shape_and_dtype(initialize, dtype, shape, expected):
    assert list(signature(initialize).parameters)[:2] == ["shape", "rng"]
    rng = np.random.default_rng(0)
    W = initialize(shape, rng, dtype=dtype)
    assert (W.shape, W.dtype) == (expected, dtype)
    assert W.flags.writeable and W.flags.c_contiguous
    assert initialize(shape, rng).dtype == np.float64
    assert initialize(shape, rng, dtype=np.dtype(dtype)).dtype == dtype


@every_initializer
@every_dtype
def test_the_generator_decides(initialize, dtype):
    rng = np.random.default_rng(7)
    W = initialize((4, 6), rng, dtype=dtype)
    np.testing.assert_array_equal(initialize((4, 6), np.random.default_rng(7), dtype=dtype), W)
    if initialize is not identity_matrix:
        assert (initialize((4, 6), rng, dtype=dtype) != W).any()
        assert (initialize((4, 6), np.random.default_rng(8), dtype=dtype) != W).any()


@every_initializer
def test_a_network_takes_the_weights(initialize):
    rng = np.random.default_rng(0)
    rnn = RNN(initialize((5, 3), rng), initialize(5, rng), np.zeros(5))
    assert rnn.forward(np.ones((4, 2, 3))).shape == (5, 2, 5)


# Defaults of three programs


@every_framework
@every_gates
@every_dtype
@pytest.mark.parametrize(("inputs", "hidden"), [(3, 5), (5, 3), (1, 1), (np.int64(2), np.int64(4))])
def test_default_fits_the_network(framework, gates, dtype, inputs, hidden):
    weights = framework_default(framework, inputs, hidden, np.random.default_rng(0), gates, dtype)
    rows = gates * hidden
    shapes = {name: array.shape for name, array in weights.items()}
    assert shapes == {"W_x": (rows, inputs), "W_h": (rows, hidden), "b": (rows,)}
    assert {array.dtype for array in weights.values()} == {np.dtype(dtype)}
    assert all(array.flags.writeable for array in weights.values())
    network = (LSTM if gates == 4 else RNN)(**weights)
    network.forward(np.ones((2, 1, inputs), dtype))


@every_framework
def test_one_gate_and_double_precision_if_nothing_is_said(framework):
    weights = framework_default(framework, 2, 3, np.random.default_rng(0))
    expected = framework_default(framework, 2, 3, np.random.default_rng(0), gates=1, dtype=np.float64)
    for name in ("W_x", "W_h", "b"):
        np.testing.assert_array_equal(weights[name], expected[name])
        assert weights[name].dtype == np.float64


@pytest.mark.parametrize("kind", [int, np.int8, np.uint8, np.int64])
def test_gates_and_sizes_of_any_integer_type(kind):
    weights = framework_default("pytorch", kind(2), kind(70), np.random.default_rng(0), gates=kind(4))
    assert weights["W_h"].shape == (280, 70)


@every_framework
@every_gates
def test_default_is_reproducible(framework, gates):
    draw = lambda rng: framework_default(framework, 3, 5, rng, gates)  # noqa: E731
    rng = np.random.default_rng(3)
    first, again, later = draw(rng), draw(np.random.default_rng(3)), draw(rng)
    for name in ("W_x", "W_h", "b"):
        np.testing.assert_array_equal(first[name], again[name])
    for name in ("W_x", "W_h"):
        assert (first[name] != later[name]).any()
    assert not np.array_equal(first["W_x"].ravel()[:15], first["W_h"].ravel()[:15])


@every_gates
@every_dtype
def test_pytorch(gates, dtype):
    hidden = 50
    weights = framework_default("pytorch", 80, hidden, np.random.default_rng(0), gates, dtype)
    limit = 1 / sqrt(hidden)
    assert_distributed(weights["W_x"], uniform(limit))
    assert_distributed(weights["W_h"], uniform(limit))


@every_gates
def test_bias_of_pytorch_is_a_sum_of_two(gates):
    hidden = 2000
    b = framework_default("pytorch", 1, hidden, np.random.default_rng(0), gates)["b"]
    assert_distributed(b, sum_of_two_uniforms(1 / sqrt(hidden)))
    assert np.abs(b).max() > 1.5 / sqrt(hidden)


@every_gates
def test_pytorch_itself(gates):
    """The same distribution, by Kolmogorov and Smirnov's distance of two samples of N: 2.5 √(2/N)."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.manual_seed(0)
    inputs, hidden = 20, 400
    layer = (torch.nn.RNN if gates == 1 else torch.nn.LSTM)(inputs, hidden)
    theirs = {"W_x": layer.weight_ih_l0, "W_h": layer.weight_hh_l0, "b": layer.bias_ih_l0 + layer.bias_hh_l0}
    ours = framework_default("pytorch", inputs, hidden, np.random.default_rng(0), gates)
    for name, array in ours.items():
        sample = np.sort(theirs[name].detach().numpy(), axis=None)
        assert array.size == sample.size
        below = np.searchsorted(sample, np.sort(array, axis=None)) / sample.size
        steps = np.arange(array.size) / array.size
        assert np.abs(below - steps).max() < 2.5 * sqrt(2 / array.size), name


@every_gates
@every_dtype
def test_keras(gates, dtype):
    inputs, hidden = 70, 40
    weights = framework_default("keras", inputs, hidden, np.random.default_rng(0), gates, dtype)
    assert_distributed(weights["W_x"], uniform(sqrt(6 / (inputs + gates * hidden))))
    W_h = weights["W_h"]
    np.testing.assert_allclose(W_h.T @ W_h, np.eye(hidden), atol=20 * np.finfo(dtype).eps)
    expected = np.zeros((gates, hidden))
    if gates == 4:
        expected[1] = 1  # i, f, g, o
    np.testing.assert_array_equal(weights["b"], expected.ravel())


@every_gates
@every_dtype
def test_min_char_rnn(gates, dtype):
    weights = framework_default("min-char-rnn", 70, 60, np.random.default_rng(0), gates, dtype)
    assert_distributed(weights["W_x"], normal(0.01))
    assert_distributed(weights["W_h"], normal(0.01))
    np.testing.assert_array_equal(weights["b"], 0)


# The spectral radius at the start


def mean_radius(draw, draws):
    rng = np.random.default_rng(0)
    return np.mean([spectral_radius(draw(rng)) for _ in range(draws)])


def recurrent(framework, hidden):
    return lambda rng: framework_default(framework, 1, hidden, rng)["W_h"]


def test_radius_at_the_start():
    """The radius spreads by 4 % at H = 100 and 8 % at H = 32: five standard errors of the mean."""
    assert mean_radius(recurrent("min-char-rnn", 100), 8) == pytest.approx(0.104, rel=5 * 0.04 / sqrt(8))
    assert mean_radius(lambda rng: random_normal(32, rng, std=0.01), 100) == pytest.approx(0.060, rel=0.04)
    for hidden, draws in ((32, 100), (64, 50)):
        assert 0.59 < mean_radius(recurrent("pytorch", hidden), draws) < 0.64
    for hidden in (1, 2, 33, 100):
        radius = spectral_radius(recurrent("keras", hidden)(np.random.default_rng(0)))
        assert radius == pytest.approx(1, abs=1e-13)


@pytest.mark.parametrize(
    ("initialize", "expected"),
    [
        (lambda n, rng: random_normal(n, rng, std=1 / sqrt(n)), 1),
        (lambda n, rng: random_uniform(n, rng, limit=1 / sqrt(n)), 1 / sqrt(3)),
        (glorot_uniform, 1),
    ],
    ids=["normal", "uniform", "glorot"],
)
def test_radius_is_near_its_limit(initialize, expected):
    """At n = 64 it is 1.056 times the limit, with a deviation of 5 % in one draw."""
    radius = mean_radius(lambda rng: initialize(64, rng), 50)
    assert radius == pytest.approx(1.056 * expected, rel=5 * 0.05 / sqrt(50))


# Bad input


@pytest.mark.parametrize("initialize", [random_normal, random_uniform, glorot_uniform, identity_matrix])
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("shape", 0, ValueError),
        ("shape", -3, ValueError),
        ("shape", (3, 0), ValueError),
        ("shape", (), ValueError),
        ("shape", (3,), ValueError),
        ("shape", (2, 3, 3), ValueError),
        ("shape", True, TypeError),
        ("shape", 3.0, TypeError),
        ("shape", "3", TypeError),
        ("shape", None, TypeError),
        ("shape", [3, 3], TypeError),
        ("shape", (3, 3.0), TypeError),
        ("shape", (True, 3), TypeError),
        ("rng", 0, TypeError),
        ("rng", "0", TypeError),
        ("rng", np.random, TypeError),
        ("rng", np.random.RandomState(0), TypeError),
        ("dtype", float, TypeError),
        ("dtype", "float32", TypeError),
        ("dtype", np.float16, TypeError),
        ("dtype", np.dtype(">f8"), TypeError),
        ("dtype", int, TypeError),
        ("dtype", complex, TypeError),
        ("dtype", None, TypeError),
    ],
)
def test_wrong_argument_of_an_initializer(initialize, name, value, error):
    arguments = {"shape": 3, "rng": np.random.default_rng(0), "dtype": np.float64}
    expected = {
        "shape": "an integer n or a pair (rows, columns), each at least 1",
        "rng": "a numpy.random.Generator",
        "dtype": "numpy.float32 or numpy.float64",
    }
    with pytest.raises(error, match=f"^{name} must be {re.escape(expected[name])}, got "):
        initialize(**arguments | {name: value})


@pytest.mark.parametrize("initialize", [random_normal, random_uniform, glorot_uniform, random_orthogonal])
def test_no_generator(initialize):
    with pytest.raises(TypeError, match=r"^rng must be a numpy.random.Generator, got NoneType$"):
        initialize(3, None)


@pytest.mark.parametrize("value", [(3, 0), (3, 2.0), [3, 3]])
def test_error_of_the_shape_names_the_pair_and_shows_the_value(value):
    with pytest.raises((TypeError, ValueError)) as caught:
        random_normal(value, np.random.default_rng(0))
    assert "(rows, columns)" in str(caught.value)
    assert str(caught.value).endswith(f"got {value!r}")


@pytest.mark.parametrize(
    ("initialize", "name"), [(random_normal, "std"), (random_uniform, "limit"), (identity_matrix, "scale")]
)
@pytest.mark.parametrize(
    ("value", "error"),
    [
        (0, ValueError),
        (-1.0, ValueError),
        (np.nan, ValueError),
        (np.inf, ValueError),
        (True, TypeError),
        ("1", TypeError),
        (1j, TypeError),
        (None, TypeError),
        (np.ones(1), TypeError),
    ],
    ids=repr,
)
def test_wrong_scale(initialize, name, value, error):
    with pytest.raises(error) as caught:
        initialize(3, np.random.default_rng(0), **{name: value})
    assert str(caught.value) == f"{name} must be a finite number above 0, got {value!r}"


@every_dtype
@pytest.mark.parametrize(
    ("initialize", "name"), [(random_normal, "std"), (random_uniform, "limit"), (identity_matrix, "scale")]
)
@pytest.mark.parametrize("end", ["largest", "smallest"])
def test_scales_at_the_ends_of_the_range(initialize, name, dtype, end):
    info = np.finfo(dtype)
    scale = float(info.max / 8 if end == "largest" else info.smallest_subnormal)
    W = initialize(9, np.random.default_rng(0), dtype=dtype, **{name: scale})
    plain = initialize(9, np.random.default_rng(0), dtype=dtype)
    np.testing.assert_array_equal(W, dtype(scale) * plain)
    assert np.isfinite(W).all()
    assert (abs(W) >= scale / 2).any()


@pytest.mark.parametrize(
    ("initialize", "name"), [(random_normal, "std"), (random_uniform, "limit"), (identity_matrix, "scale")]
)
@pytest.mark.parametrize("value", [1e-46, 1e39])
def test_a_scale_that_float32_cannot_hold(initialize, name, value):
    with pytest.raises(ValueError) as caught, np.errstate(all="raise"):
        initialize(3, np.random.default_rng(0), dtype=np.float32, **{name: value})
    assert str(caught.value) == f"{name} must be above 0 and finite in float32, got {value!r}"
    assert initialize(3, np.random.default_rng(0), **{name: value}).any()


@every_dtype
def test_normal_entries_beyond_the_type_are_refused(dtype):
    std = 3e38 if dtype is np.float32 else 1.7e308
    with pytest.raises(ValueError) as caught, np.errstate(all="raise"):
        random_normal(10, np.random.default_rng(0), std=std, dtype=dtype)
    assert str(caught.value) == f"std must give entries within {np.dtype(dtype)}, got {std!r}"


@every_framework
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("framework", "PyTorch", ValueError),
        ("framework", "flax", ValueError),
        ("framework", None, ValueError),
        ("framework", ["keras"], ValueError),
        ("inputs", 0, ValueError),
        ("inputs", -1, ValueError),
        ("inputs", 2.0, TypeError),
        ("inputs", True, TypeError),
        ("inputs", (2, 3), TypeError),
        ("hidden", 0, ValueError),
        ("hidden", -1, ValueError),
        ("hidden", 2.0, TypeError),
        ("hidden", True, TypeError),
        ("hidden", None, TypeError),
        ("gates", 0, ValueError),
        ("gates", 2, ValueError),
        ("gates", 3, ValueError),
        ("gates", 5, ValueError),
        ("gates", 4.0, TypeError),
        ("gates", True, TypeError),
        ("gates", "4", TypeError),
        ("gates", None, TypeError),
        ("rng", 0, TypeError),
        ("rng", None, TypeError),
        ("rng", np.random.RandomState(0), TypeError),
        ("dtype", float, TypeError),
        ("dtype", "float32", TypeError),
        ("dtype", np.float16, TypeError),
        ("dtype", None, TypeError),
    ],
)
def test_wrong_argument_of_a_default(framework, name, value, error):
    arguments = {
        "framework": framework,
        "inputs": 2,
        "hidden": 3,
        "rng": np.random.default_rng(0),
        "gates": 4,
    }
    with pytest.raises(error, match=f"^{name} must be .*, got ") as caught:
        framework_default(**arguments | {name: value})
    if name != "rng":
        assert str(caught.value).endswith(f"got {value!r}")


@pytest.mark.parametrize("value", [0, -1, 2, 5])
def test_error_of_the_gates_names_both_numbers(value):
    with pytest.raises(ValueError, match=f"^gates must be 1 or 4, got {value}$"):
        framework_default("keras", 2, 3, np.random.default_rng(0), gates=value)


def test_unknown_framework_lists_the_known():
    with pytest.raises(ValueError, match=r"'pytorch', 'keras', 'min-char-rnn', got 'flax'$"):
        framework_default("flax", 2, 3, np.random.default_rng(0))
