"""The activations: function, derivative at z and from h, supremum gamma."""

import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numerics import random_runs

from rnn_notes import ACTIVATIONS, sigmoid

every_activation = pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)

# Each function once more, written as in a textbook.
TEXTBOOK = {
    "tanh": lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "relu": lambda z: np.where(z > 0, z, 0),
    "identity": lambda z: z,
}


@every_activation
def test_function_and_derivative(activation):
    z = np.linspace(-5, 5, 100)  # 0, where relu has no derivative, is not among them
    assert np.abs(z).min() > 1e-2
    textbook = TEXTBOOK[activation.name]
    np.testing.assert_allclose(activation(z), textbook(z), rtol=1e-13)
    central = (textbook(z + 1e-5) - textbook(z - 1e-5)) / 2e-5
    np.testing.assert_allclose(activation.derivative(z), central, rtol=1e-6, atol=1e-10)


@every_activation
@random_runs
@given(z=st.floats(-1e300, 1e300))
def test_gamma_is_the_supremum(activation, z):
    assert 0 <= activation.derivative(z) <= activation.gamma
    assert activation.derivative(1e-9) == pytest.approx(activation.gamma, abs=1e-15)  # reached next to 0


@every_activation
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_out_and_arguments_kept(activation, dtype):
    z = np.linspace(-2, 2, 7, dtype=dtype)
    h = activation(z)
    slope = activation.derivative_from_output(h)
    assert h.dtype == slope.dtype == activation.derivative(z).dtype == dtype
    assert not np.shares_memory(h, z)
    np.testing.assert_array_equal(z, np.linspace(-2, 2, 7, dtype=dtype))
    np.testing.assert_array_equal(h, activation(z))

    out = np.full_like(z, np.nan)
    assert activation.derivative_from_output(h, out=out) is out
    np.testing.assert_array_equal(out, slope)
    assert activation(z, out=z) is z  # written over its input, as in the forward pass
    np.testing.assert_array_equal(z, h)


@every_activation
def test_derivative_written_into_out_needs_no_other_array(activation):
    h, out = np.ones((2, 100_000))
    tracemalloc.start()
    activation.derivative_from_output(h, out=out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < out.nbytes / 2


def test_sigmoid_far_out():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(sigmoid(np.array([-1e308, -1000.0, 0.0, 1000.0])), [0, 0, 0.5, 1])
        np.testing.assert_array_equal(sigmoid.derivative(np.array([-1e308, -1000.0, 0.0])), [0, 0, 0.25])


def test_relu_at_zero():
    np.testing.assert_array_equal(ACTIVATIONS["relu"].derivative(np.array([-1.0, 0.0, 1.0])), [0, 0, 1])


@pytest.mark.parametrize("z", [1, np.array([1, 2]), np.array([True])])
def test_derivative_wants_floats(z):
    with pytest.raises(TypeError, match="z must be a float"):
        sigmoid.derivative(z)
