"""Checks of arguments, shared by all modules. Each raises an error that names the argument."""

from numbers import Real
from operator import index

import numpy as np


class NotFiniteError(ValueError):
    """A NaN or an infinity in an array: in training, the sign that it diverged."""


def check_array(name, value, dtype, *shapes):
    """Return the shape of `value`; raise unless it is one of `shapes`, and `value` a finite array of `dtype`.

    A letter in a shape stands for any size from 1. The dtype None stands for float32 or float64.
    """
    check_dtype(name, value, dtype)

    def fits(shape):
        return len(shape) == value.ndim and all(
            size > 0 if isinstance(expected, str) else size == expected
            for size, expected in zip(value.shape, shape, strict=True)
        )

    if not any(map(fits, shapes)):
        expected = " or ".join(str(shape).replace("'", "") for shape in shapes)
        raise ValueError(f"{name} must have shape {expected}, each size at least 1, got {value.shape}")
    check_finite(name, value)
    return value.shape


def check_square(name, value):
    """Return n; raise unless `value` is a finite matrix of shape (n, n), or a stack of such matrices."""
    check_dtype(name, value, None)
    if value.ndim < 2 or value.shape[-1] != value.shape[-2] or 0 in value.shape:
        raise ValueError(f"{name} must have shape (..., n, n), each size at least 1, got {value.shape}")
    check_finite(name, value)
    return value.shape[-1]


def check_dtype(name, value, dtype):
    """Raise unless `value` is an array of `dtype`; None stands for float32 or float64."""
    if type(value) is not np.ndarray:
        raise TypeError(f"{name} must be a numpy.ndarray, got {type(value).__name__}")
    if value.dtype not in ([np.float32, np.float64] if dtype is None else [dtype]):
        raise TypeError(f"{name} must have dtype {dtype or 'float32 or float64'}, got {value.dtype}")


def check_finite(name, value):
    """Raise if `value` has a NaN or an infinity, and say where."""
    if not np.isfinite(value).all():
        where = tuple(map(int, np.argwhere(~np.isfinite(value))[0]))
        raise NotFiniteError(f"{name} must be finite, got {value[where]} at index {where}")


def check_integer(name, value, low, high=None):
    """Return `value` as int; raise unless it is an integer from `low` to `high`."""
    expected = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"
    try:
        number = index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{name} must be {expected}, got {value!r}")
    if number < low or (high is not None and number > high):
        raise ValueError(f"{name} must be {expected}, got {value!r}")
    return number


def check_positive(name, value):
    """Return `value` as float; raise unless it is a finite number above 0."""
    return check_number(name, value, "a finite number above 0", lambda number: 0 < number < np.inf)


def check_fraction(name, value):
    """Return `value` as float; raise unless it is a number from 0 to below 1."""
    return check_number(name, value, "a number from 0 to below 1", lambda number: 0 <= number < 1)


def check_number(name, value, expected, holds):
    """Return `value` as float; raise unless it is a real number for which `holds` is true."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be {expected}, got {value!r}")
    try:
        number = float(value)
    except OverflowError:  # an integer beyond all floats
        number = np.inf
    if not holds(number):
        raise ValueError(f"{name} must be {expected}, got {value!r}")
    return number


def check_choice(name, value, choices):
    """Raise unless `value` is one of the strings `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def check_generator(name, value):
    """Raise unless `value` is a numpy.random.Generator."""
    if not isinstance(value, np.random.Generator):
        raise TypeError(f"{name} must be a numpy.random.Generator, got {type(value).__name__}")


def check_matrix_shape(name, value):
    """Return (rows, columns); raise unless `value` is two sizes, or one for a square matrix."""
    sizes = value if isinstance(value, tuple) else (value, value)
    try:
        rows, columns = (check_integer(name, size, 1) for size in sizes)
    except (TypeError, ValueError) as error:
        expected = "an integer n or a pair (rows, columns), each at least 1"
        raise type(error)(f"{name} must be {expected}, got {value!r}") from None
    return rows, columns


def check_float_type(name, value):
    """Return `value` as numpy.dtype; raise unless it is float32 or float64."""
    if not isinstance(value, type | np.dtype) or value not in (np.float32, np.float64):
        raise TypeError(f"{name} must be numpy.float32 or numpy.float64, got {value!r}")
    return np.dtype(value)
