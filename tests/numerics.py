"""What the tests of the numerics share: finite differences, a norm-wise comparison, spoiled arguments."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

seeds = st.integers(0, 2**32 - 1)
random_runs = settings(max_examples=40, deadline=None, derandomize=True)


def central_differences(function, array, step):
    """Differentiate `function` by each element of `array`, to fourth order; the new axis comes last."""
    columns = []
    for position in np.ndindex(array.shape):
        values = []
        for multiple in (1, -1, 2, -2):
            moved = array.copy()
            moved[position] += multiple * step
            values.append(function(moved))
        columns.append((8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * step))
    return np.stack(columns, axis=-1)


def assert_close(actual, desired, rtol, atol=0.0, name=""):
    """Compare two arrays in the maximum norm, relative to the size of the second."""
    assert actual.shape == desired.shape, name
    error, size = np.abs(actual - desired).max(), np.abs(desired).max()
    assert error <= rtol * size + atol, f"{name}: error {error:.1e}, size {size:.1e}"


def assert_attributes_close(gradients, expected, rtol, atol=0.0):
    """Compare the attributes of `gradients` with the arrays of the dict `expected`, each by itself."""
    for name, desired in expected.items():
        assert_close(getattr(gradients, name), desired, rtol, atol, name)


def memory_mapped(array, folder):
    """Return the array as `numpy.load` gives it with ``mmap_mode="r"``."""
    np.save(folder / "array.npy", array)
    return np.load(folder / "array.npy", mmap_mode="r")


def spoiled(value, *shape):
    """Return zeros, the last of them replaced by `value`."""
    array = np.zeros(shape)
    array[(-1,) * len(shape)] = value
    return array


# What no argument that should be an array of floats may be: (spoil, error, what the message says).
every_wrong_array = pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda a: a.tolist(), TypeError, "must be a numpy.ndarray, got list"),
        (
            np.ma.masked_array,
            TypeError,
            "must be a numpy.ndarray, got MaskedArray, which computes in its own way",
        ),
        (lambda a: a.astype(int), TypeError, "got int64"),
        (lambda a: a.astype(bool), TypeError, "got bool"),
        (lambda a: a.astype(complex), TypeError, "got complex128"),
        (lambda a: a.astype(object), TypeError, "got object"),
        (lambda a: a.astype(np.float16), TypeError, "got float16: too few digits"),
        (lambda a: a.astype(a.dtype.newbyteorder()), TypeError, "its byte order is that of another machine"),
        (lambda a: spoiled(np.nan, *a.shape), ValueError, "must be finite, got nan at index ("),
        (lambda a: spoiled(-np.inf, *a.shape), ValueError, "must be finite, got -inf at index ("),
    ],
    ids=["list", "masked", "int", "bool", "complex", "object", "float16", "swapped", "nan", "inf"],
)
