"""Checks of arguments, shared by all modules. Each raises an error that names the argument."""

from contextlib import contextmanager
from math import isfinite
from numbers import Real
from operator import index

import numpy as np


class NotFiniteError(ValueError):
    """A NaN or an infinity in an array: in training, the sign that it diverged."""


def shown(value):
    """Return `value` as it is written; Python writes no integer of more than 4,300 digits."""
    try:
        return repr(value)
    except ValueError:
        return f"{type(value).__name__} too long to show"


def check_array(name, value, dtype, *shapes, finite=True):
    """Return the shape of `value`; raise unless it is one of `shapes`, and `value` a finite array of `dtype`.

    A letter in a shape stands for any size from 1. The dtype None stands for float32 or float64. Without
    `finite`, a NaN or an infinity passes, for `check_overflow` to find it in the results.
    """
    check_dtype(name, value, dtype)

    def fits(shape):
        return len(shape) == value.ndim and all(
            size > 0 if isinstance(expected, str) else size == expected
            for size, expected in zip(value.shape, shape, strict=True)
        )

    if value.shape not in shapes and not any(map(fits, shapes)):
        expected = " or ".join(str(shape).replace("'", "") for shape in shapes)
        if any(isinstance(size, str) for shape in shapes for size in shape):
            expected += ", each size at least 1"
        raise ValueError(f"{name} must have shape {expected}, got {value.shape}")
    if finite:
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
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a numpy.ndarray, got {type(value).__name__}")
    if type(value) is not np.ndarray:
        check_subclass(name, type(value))
    if value.dtype in ([np.float32, np.float64] if dtype is None else [dtype]):
        return
    expected, got = dtype or "float32 or float64", str(value.dtype)
    if value.dtype.newbyteorder("=") in (np.float32, np.float64) and not value.dtype.isnative:
        name_here = np.dtype(dtype or value.dtype.newbyteorder("=")).name
        got += f": its byte order is that of another machine, so convert it with .astype({name_here!r})"
    elif "float" in value.dtype.name and value.dtype.itemsize <= 2:
        name_here = np.dtype(dtype or np.float32).name
        got += (
            f": too few digits and too short a range for gradients, so convert it with .astype({name_here!r})"
        )
    raise TypeError(f"{name} must have dtype {expected}, got {got}")


def check_subclass(name, kind):
    """Raise unless numbers mean the same in the subclass of numpy.ndarray, as in numpy.memmap.

    A mask would be lost, and a product of matrices is not the product element by element.
    """
    for method in ("__array_ufunc__", "__array_function__", "__add__", "__mul__", "__matmul__", "__pow__"):
        if getattr(kind, method) is not getattr(np.ndarray, method):
            reason = f"which computes in its own way, by its {method}"
            raise TypeError(f"{name} must be a numpy.ndarray, got {kind.__name__}, {reason}")


NETWORKS = {1: "an RNN", 3: "a GRU", 4: "an LSTM"}


def check_weights(gates, W_x, W_h, b, finite):
    """Return H, I and the dtype; raise unless these are the weights of a network of so many gates."""
    H = f"{gates}H" if gates > 1 else "H"
    rows, inputs = check_array("W_x", W_x, None, (H, "I"), finite=finite)
    if isinstance(W_h, np.ndarray) and W_h.ndim == 2 and len(W_h) == rows and W_h.shape[1] > 0:
        other = NETWORKS.get(rows // W_h.shape[1]) if rows % W_h.shape[1] == 0 else None
        if other not in (None, NETWORKS[gates]):
            expected = f"({H}, H) for {NETWORKS[gates]}, and this is one of {other}"
            raise ValueError(f"W_h must have shape {expected}, got {W_h.shape}")
    if rows % gates:
        raise ValueError(f"W_x must have shape ({H}, I), its rows a multiple of {gates}, got {W_x.shape}")
    check_array("W_h", W_h, W_x.dtype, (rows, rows // gates), finite=finite)
    check_array("b", b, W_x.dtype, (rows,))  # no gradient has it as a factor, so none would show it
    return rows // gates, inputs, W_x.dtype


def check_methods(name, value, *methods):
    """Raise unless `value` is an object with these methods, each written as in ``"forward(x)"``."""
    missing = [m for m in methods if not callable(getattr(value, m.partition("(")[0], None))]
    if isinstance(value, type):
        raise TypeError(f"{name} must be an object, got the class {value.__name__} itself")
    if missing:
        raise TypeError(f"{name} must have a method {missing[0]}, got {shown(value)} without it")


def check_writeable(name, value):
    """Raise unless the array `value` can be changed in place."""
    if not value.flags.writeable:
        raise ValueError(f"{name} must be writeable to be trained in place, got a read-only array")


def _all_finite(value):
    """Return whether all entries are finite.

    For speed, the sum of squares of a large array is tried first: no NaN and no infinity gets lost in it.
    """
    if value.size > 2**14:
        flat = value.ravel("K")
        with np.errstate(over="ignore"):
            if np.isfinite(np.dot(flat, flat)):
                return True
    return np.isfinite(value).all()


def check_kind(name, value, kinds, expected):
    """Raise unless `value` is an array whose dtype is of one of the kinds, such as "iu" for integers."""
    if type(value) is not np.ndarray and isinstance(value, np.ndarray):
        check_subclass(name, type(value))
    if not isinstance(value, np.ndarray) or value.dtype.kind not in kinds:
        got = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
        raise TypeError(f"{name} must be a numpy.ndarray of {expected}, got {got}")


def check_classes(name, value, shape, classes):
    """Raise unless `value` is an array of this shape, of integers from 0 to below `classes`."""
    check_kind(name, value, "iu", "integers")  # a timedelta is of another kind, but would count as an integer
    if value.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {value.shape}")
    if value.min() < 0 or value.max() >= classes:
        worst = value.min() if value.min() < 0 else value.max()
        raise ValueError(f"{name} must be integers from 0 to {classes - 1}, got {worst}")


def check_finite(name, value):
    """Raise if `value` has a NaN or an infinity, and say where."""
    if not _all_finite(value):
        where = tuple(map(int, np.argwhere(~np.isfinite(value))[0]))
        raise NotFiniteError(f"{name} must be finite, got {value[where]} at index {where}")


# A decorator, for no warning before the error.
refuse_overflow = np.errstate(over="ignore", invalid="ignore", divide="ignore")


def check_overflow(given=None, **results):
    """Raise if a result has a NaN or an infinity: then it is beyond its type, or an array of `given` had one.

    To be called in a function with `refuse_overflow`. Return whether the sum of all squares is finite. For
    speed, it is looked at first: no NaN and no infinity gets lost in it.
    """
    if isfinite(sum(np.vdot(value, value) for value in results.values())):
        return True
    for name, value in (given or {}).items():
        check_finite(name, value)
    for name, value in results.items():
        if not np.isfinite(value).all():
            where = tuple(map(int, np.argwhere(~np.isfinite(value))[0]))
            raise NotFiniteError(f"{name} overflows {value.dtype}: got {value[where]} at index {where}")
    return False


def check_sums(parameters, x, h):
    """Raise unless all is finite: parameters, input, states, and the sums of sizes before the activations.

    The states do not show it all: of an infinite sum, tanh makes 1, and relu makes 0 of minus infinity. With
    a finite sum of squares no sum can overflow, for abs(W x) <= ‖W‖ ‖x‖ <= (‖W‖² + ‖x‖²)/2. Otherwise the
    sums of the absolute values decide, which are above all partial sums, in any order.
    """
    given = parameters | {"x": x}
    if not check_overflow(given, **given, h=h):
        W_x, W_h, *biases = map(abs, parameters.values())
        sums = abs(x) @ W_x.T + abs(h[:-1]) @ W_h.T + sum(map(np.max, biases))
        check_overflow(**{"abs(W_x x) + abs(W_h h) + abs(b)": sums})


def check_integer(name, value, low, high=None):
    """Return `value` as int; raise unless it is an integer from `low` to `high`."""
    expected = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"
    try:
        number = index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{name} must be {expected}, got {shown(value)}")
    if number < low or (high is not None and number > high):
        raise ValueError(f"{name} must be {expected}, got {shown(value)}")
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
        raise TypeError(f"{name} must be {expected}, got {shown(value)}")
    try:
        number = float(value)
    except OverflowError:  # an integer beyond all floats
        number = np.inf
    if not holds(number):
        raise ValueError(f"{name} must be {expected}, got {shown(value)}")
    return number


def check_choice(name, value, choices):
    """Raise unless `value` is one of the strings `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {shown(value)}")


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
        raise type(error)(f"{name} must be {expected}, got {shown(value)}") from None
    return rows, columns


def check_float_type(name, value):
    """Return `value` as numpy.dtype; raise unless it is float32 or float64."""
    if not isinstance(value, type | np.dtype) or value not in (np.float32, np.float64):
        raise TypeError(f"{name} must be numpy.float32 or numpy.float64, got {shown(value)}")
    return np.dtype(value)


def check_fits(name, value, what, result):
    """Return `result`; raise unless it is finite, for `value` may be too large for `what` follows from it."""
    if not np.isfinite(result).all():
        largest = np.abs(value).max()
        raise ValueError(f"{name} must have {what} within {value.dtype}, got entries up to {largest:.2g}")
    return result


@contextmanager
def blame(text):
    """Name the part that does not fit, before its own words."""
    try:
        yield
    except NotFiniteError:
        raise
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise ValueError(f"{text}: {error}") from error


def check_loss(name, result):
    """Return what a loss returned; raise unless it is a number and something else, the gradient."""
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[0], Real):
        kinds = ", ".join(type(part).__name__ for part in (result if isinstance(result, tuple) else [result]))
        raise TypeError(f"{name} must return a number and its gradient, got {kinds}")
    return result
