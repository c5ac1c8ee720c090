"""Gradient clipping, by value and by norm, over any collection of gradients."""

from copy import copy
from typing import TypeVar

import numpy as np

from rnn_notes._checks import check_dtype, check_finite, check_positive

Collection = TypeVar("Collection")


def global_norm(gradients, error_if_nonfinite=True) -> float:
    """Return the Euclidean norm of all gradients together, as if they were one long vector.

    Parameters
    ----------
    gradients : ndarray, or list, tuple or dict of ndarray
        The gradients, float32 or float64.
    error_if_nonfinite : bool
        Whether a NaN or an infinity raises. If not, the norm is NaN.

    Returns
    -------
    float
        The norm, in float64: a gradient of float32 cannot overflow it. It is infinity only where gradients of
        float64 are finite and their norm is not.

    Examples
    --------
    Squares of 1e30 do not fit into float32. The norm does.

    >>> import numpy as np
    >>> from rnn_notes import global_norm
    >>> gradients = {"W_h": np.array([[3e30]], np.float32), "b": np.array([4e30], np.float32)}
    >>> with np.errstate(over="ignore"):
    ...     naive = np.sqrt(sum(np.sum(g * g) for g in gradients.values()))
    >>> print(f"{naive}, but {global_norm(gradients):.0e}")
    inf, but 5e+30
    """
    _, largest, relative_norm = _measure(gradients, error_if_nonfinite)
    return largest * relative_norm


def clip_by_norm(gradients: Collection, threshold, error_if_nonfinite=True) -> tuple[Collection, float]:
    """Shorten the gradients to norm `threshold` if together they are longer (Pascanu et al. 2013).

    The direction stays.

    Parameters
    ----------
    gradients : ndarray, or list, tuple or dict of ndarray
        The gradients, float32 or float64. They are not modified.
    threshold : float
        The largest norm, above 0; met up to rounding.
    error_if_nonfinite : bool
        Whether a NaN or an infinity raises. If not, the gradients come back unclipped with the norm NaN, and
        the caller decides. No clipping can mend them.

    Returns
    -------
    clipped : ndarray, list, tuple or dict
        New arrays, in a new collection of the type given, such as a namedtuple or an OrderedDict.
    norm : float
        The norm before, as `global_norm` returns it.

    References
    ----------
    R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks",
    ICML 2013, PMLR 28:1310-1318, algorithm 1, https://arxiv.org/abs/1211.5063.

    Examples
    --------
    The norm is 50, so each entry is divided by 10.

    >>> import numpy as np
    >>> from rnn_notes import RNN, clip_by_norm, global_norm
    >>> clip_by_norm([np.array([30.0]), np.array([0.0, 40.0])], threshold=5.0)
    ([array([3.]), array([0., 4.])], 50.0)

    Of the gradients that a network returns, clip those of its parameters together.

    >>> rnn = RNN(np.ones((1, 1)), np.array([[2.0]]), np.zeros(1), activation="identity")
    >>> x = np.ones((20, 1, 1))
    >>> g = rnn.backward(x, rnn.forward(x), dh=np.ones((1, 1)))
    >>> clipped, norm = clip_by_norm({"W_x": g.W_x, "W_h": g.W_h, "b": g.b}, threshold=1.0)
    >>> f"{norm:.0e}", round(global_norm(clipped), 12)
    ('1e+07', 1.0)
    """
    threshold = check_positive("threshold", threshold)
    arrays, largest, relative_norm = _measure(gradients, error_if_nonfinite)
    norm = largest * relative_norm
    if norm > threshold:
        # In float64, and from entries of at most 1, so that nothing overflows on the way.
        factor = threshold / relative_norm
        clipped = [np.asarray(np.divide(a, largest, dtype=np.float64) * factor, a.dtype) for a in arrays]
    else:
        clipped = [np.array(a) for a in arrays]
    return _like(gradients, clipped), norm


def clip_by_value(gradients: Collection, threshold, error_if_nonfinite=True) -> tuple[Collection, float]:
    """Cut each entry of the gradients to the interval from -threshold to threshold.

    The lecture's "if grad > 10: grad = 10", for both signs. It changes the direction: large entries are cut,
    and small ones are not.

    Parameters
    ----------
    gradients : ndarray, or list, tuple or dict of ndarray
        The gradients, float32 or float64. They are not modified.
    threshold : float
        The largest absolute value, above 0.
    error_if_nonfinite : bool
        Whether a NaN or an infinity raises. If not, the gradients come back unclipped with the norm NaN.

    Returns
    -------
    clipped : ndarray, list, tuple or dict
        New arrays, in a new collection of the type given, such as a namedtuple or an OrderedDict.
    norm : float
        The norm before, as `global_norm` returns it.

    Examples
    --------
    The gradient pointed nearly along the first axis. Clipped, it points along the diagonal.

    >>> import numpy as np
    >>> from rnn_notes import clip_by_value
    >>> clipped, norm = clip_by_value(np.array([1000.0, 11.0]), threshold=10.0)
    >>> clipped, round(norm)
    (array([10., 10.]), 1000)
    """
    threshold = check_positive("threshold", threshold)
    arrays, largest, relative_norm = _measure(gradients, error_if_nonfinite)
    if np.isnan(largest):
        clipped = [np.array(a) for a in arrays]
    else:
        limits = {a.dtype: min(threshold, float(np.finfo(a.dtype).max)) for a in arrays}
        clipped = [np.asarray(np.clip(a, -limits[a.dtype], limits[a.dtype])) for a in arrays]
    return _like(gradients, clipped), largest * relative_norm


def _measure(gradients, error_if_nonfinite):
    """Return the arrays, the largest absolute value, and their norm as a multiple of it.

    The product of the two can overflow, each alone cannot. Both are NaN if an entry is not finite and the
    caller wants no error.
    """
    if isinstance(gradients, np.ndarray):
        arrays = {"gradients": gradients}
    elif isinstance(gradients, dict):
        arrays = {f"gradients[{key!r}]": value for key, value in gradients.items()}
    elif isinstance(gradients, tuple) and hasattr(gradients, "_asdict"):  # a namedtuple
        arrays = {f"gradients.{name}": value for name, value in gradients._asdict().items()}
    elif isinstance(gradients, list | tuple):
        arrays = {f"gradients[{number}]": value for number, value in enumerate(gradients)}
    else:
        expected = "an array, or a list, tuple or dict of arrays"
        raise TypeError(f"gradients must be {expected}, got {type(gradients).__name__}")
    for name, value in arrays.items():
        check_dtype(name, value, None)
        if value.size == 0:
            raise ValueError(f"{name} must have at least one entry, got shape {value.shape}")
        if error_if_nonfinite:
            check_finite(name, value)
    if not arrays:
        raise ValueError(f"gradients must have at least one array, got {gradients!r}")
    arrays = list(arrays.values())
    if not error_if_nonfinite and not all(np.isfinite(a).all() for a in arrays):
        return arrays, np.nan, np.nan
    largest = max(float(abs(a).max()) for a in arrays)
    if largest == 0:
        return arrays, 0.0, 1.0
    squares = sum(np.sum(np.divide(a, largest, dtype=np.float64) ** 2) for a in arrays)
    return arrays, largest, float(np.sqrt(squares))


def _like(gradients, arrays):
    """Return `arrays` in a new collection of the type of `gradients`."""
    if isinstance(gradients, np.ndarray):
        return arrays[0]
    if isinstance(gradients, tuple):
        return gradients._make(arrays) if hasattr(gradients, "_make") else type(gradients)(arrays)
    like = copy(gradients)  # with what a subclass adds, such as the default of a defaultdict
    keys = gradients if isinstance(gradients, dict) else range(len(arrays))
    for number, key in enumerate(keys):
        like[key] = arrays[number]
    return like
