"""Where weights start: the initializers in use, and the defaults of three well-known programs."""

from numbers import Integral

import numpy as np

from rnn_notes._checks import (
    check_choice,
    check_float_type,
    check_generator,
    check_integer,
    check_matrix_shape,
    check_positive,
    shown,
)
from rnn_notes.orthogonal import random_orthogonal


def random_normal(shape, rng, *, std=1.0, dtype=np.float64) -> np.ndarray:
    """Return independent normal entries of mean 0.

    A square matrix of n rows has a spectral radius near std √n, and a spectral norm near 2 std √n, for large
    n.

    Parameters
    ----------
    shape : int or tuple of two ints
        n for (n, n), or (rows, columns).
    rng : numpy.random.Generator
        The source of randomness.
    std : float
        Standard deviation.
    dtype : {numpy.float64, numpy.float32}
        Type of the result.

    Returns
    -------
    ndarray of shape (rows, columns)
        The matrix.

    Raises
    ------
    ValueError
        If `std` is too large or too small for `dtype`, or an entry is too large.

    References
    ----------
    S. Geman, "The spectral radius of large random matrices", The Annals of Probability 14(4):1318-1328, 1986,
    https://doi.org/10.1214/aop/1176992372.

    S. Geman, "A limit theorem for the norm of random matrices", The Annals of Probability 8(2):252-261, 1980,
    https://doi.org/10.1214/aop/1176994775.

    Examples
    --------
    N(0, 1) is far from the edge at 1.

    >>> import numpy as np
    >>> from rnn_notes import random_normal, spectral_radius
    >>> W_h = random_normal(400, np.random.default_rng(0))
    >>> print(f"{spectral_radius(W_h):.1f}, and √400 is {np.sqrt(400):.1f}")
    20.6, and √400 is 20.0
    """
    shape = check_matrix_shape("shape", shape)
    check_generator("rng", rng)
    dtype = check_float_type("dtype", dtype)
    with np.errstate(over="ignore"):
        entries = _positive("std", std, dtype) * rng.standard_normal(shape, dtype)
    if not np.isfinite(entries).all():
        raise ValueError(f"std must give entries within {dtype}, got {shown(std)}")
    return entries


def random_uniform(shape, rng, *, limit=1.0, dtype=np.float64) -> np.ndarray:
    """Return independent entries, uniform from -limit to limit.

    The standard deviation of an entry is limit/√3.

    Parameters
    ----------
    shape : int or tuple of two ints
        n for (n, n), or (rows, columns).
    rng : numpy.random.Generator
        The source of randomness.
    limit : float
        The largest absolute value.
    dtype : {numpy.float64, numpy.float32}
        Type of the result.

    Returns
    -------
    ndarray of shape (rows, columns)
        The matrix.

    Examples
    --------
    The limit 1/√n gives a spectral radius near 1/√3.

    >>> import numpy as np
    >>> from rnn_notes import random_uniform, spectral_radius
    >>> W_h = random_uniform(400, np.random.default_rng(0), limit=1 / np.sqrt(400))
    >>> print(f"{spectral_radius(W_h):.2f}, and 1/√3 is {1 / np.sqrt(3):.2f}")
    0.60, and 1/√3 is 0.58
    """
    shape = check_matrix_shape("shape", shape)
    check_generator("rng", rng)
    dtype = check_float_type("dtype", dtype)
    return _positive("limit", limit, dtype) * (2 * rng.random(shape, dtype) - 1)


def glorot_uniform(shape, rng, *, dtype=np.float64) -> np.ndarray:
    """Return Glorot and Bengio's uniform entries, with limit √(6 / (rows + columns)).

    Parameters
    ----------
    shape : int or tuple of two ints
        n for (n, n), or (rows, columns).
    rng : numpy.random.Generator
        The source of randomness.
    dtype : {numpy.float64, numpy.float32}
        Type of the result.

    Returns
    -------
    ndarray of shape (rows, columns)
        The matrix.

    References
    ----------
    X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS 2010, PMLR 9:249-256, equation (16), https://proceedings.mlr.press/v9/glorot10a.html.

    Examples
    --------
    A square matrix gets entries of variance 1/n, so its spectral radius is near 1.

    >>> import numpy as np
    >>> from rnn_notes import glorot_uniform, spectral_radius
    >>> W_h = glorot_uniform(400, np.random.default_rng(0))
    >>> print(f"{spectral_radius(W_h):.2f}")
    1.04
    """
    rows, columns = check_matrix_shape("shape", shape)
    return random_uniform((rows, columns), rng, limit=(6 / (rows + columns)) ** 0.5, dtype=dtype)


def identity_matrix(shape, rng=None, *, scale=1.0, dtype=np.float64) -> np.ndarray:
    """Return scale times the identity, the start of the IRNN (Le, Jaitly, Hinton 2015).

    Parameters
    ----------
    shape : int or tuple of two ints
        n for (n, n), or (rows, columns) with ones on the main diagonal.
    rng : numpy.random.Generator, optional
        Not used: it lets this function stand where another initializer stands.
    scale : float
        The number on the diagonal.
    dtype : {numpy.float64, numpy.float32}
        Type of the result.

    Returns
    -------
    ndarray of shape (rows, columns)
        The matrix.

    References
    ----------
    Q. V. Le, N. Jaitly, G. E. Hinton, "A simple way to initialize recurrent networks of rectified linear
    units", 2015, https://arxiv.org/abs/1504.00941.

    Examples
    --------
    >>> from rnn_notes import identity_matrix
    >>> identity_matrix(2, scale=0.5)
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    shape = check_matrix_shape("shape", shape)
    if rng is not None:
        check_generator("rng", rng)
    dtype = check_float_type("dtype", dtype)
    return _positive("scale", scale, dtype) * np.eye(*shape, dtype=dtype)


INITIALIZERS = {
    "normal": random_normal,
    "uniform": random_uniform,
    "glorot": glorot_uniform,
    "identity": identity_matrix,
    "orthogonal": random_orthogonal,
}
"""`random_normal`, `random_uniform`, `glorot_uniform`, `identity_matrix` and `random_orthogonal` by the names
``"normal"``, ``"uniform"``, ``"glorot"``, ``"identity"`` and ``"orthogonal"``. Each can be called as
``initializer(shape, rng, dtype=...)``.

:meta hide-value:
"""


def framework_default(framework, inputs, hidden, rng, gates=1, dtype=np.float64) -> dict[str, np.ndarray]:
    """Return the weights that a program starts from when nobody chooses.

    ============ ==================== ==================== =========================
    framework    W_x                  W_h                  b
    ============ ==================== ==================== =========================
    pytorch      uniform, limit 1/√H  uniform, limit 1/√H  sum of two, limit 1/√H
    keras        Glorot uniform       orthogonal           0; LSTM: forget gate 1
    min-char-rnn normal, std 0.01     normal, std 0.01     0
    ============ ==================== ==================== =========================

    Parameters
    ----------
    framework : {"pytorch", "keras", "min-char-rnn"}
        The program.
    inputs, hidden : int
        I and H.
    rng : numpy.random.Generator
        The source of randomness.
    gates : {1, 4}
        1 for `RNN`, 4 for `LSTM`. min-char-rnn has no LSTM; with 4, its rule is applied to one.
    dtype : {numpy.float64, numpy.float32}
        Type of the arrays.

    Returns
    -------
    dict of str to ndarray
        ``{"W_x": ..., "W_h": ..., "b": ...}``, of shapes (gates·H, I), (gates·H, H) and (gates·H,).

    References
    ----------
    PyTorch, https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html and
    https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html.

    Keras, https://keras.io/api/layers/recurrent_layers/simple_rnn/ and
    https://keras.io/api/layers/recurrent_layers/lstm/. Its kernels are the transposes of ours.

    A. Karpathy, min-char-rnn.py, https://gist.github.com/karpathy/d4dee566867f8291f086.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_notes import LSTM, RNN, framework_default
    >>> rng = np.random.default_rng(0)
    >>> rnn = RNN(**framework_default("pytorch", inputs=2, hidden=50, rng=rng))
    >>> lstm = LSTM(**framework_default("keras", inputs=2, hidden=2, rng=rng, gates=4))
    >>> lstm.b
    array([0., 0., 1., 1., 0., 0., 0., 0.])
    """
    check_choice("framework", framework, ("pytorch", "keras", "min-char-rnn"))
    inputs, hidden = check_integer("inputs", inputs, 1), check_integer("hidden", hidden, 1)
    if not isinstance(gates, Integral) or isinstance(gates, bool):
        raise TypeError(f"gates must be 1 or 4, got {shown(gates)}")
    if gates not in (1, 4):
        raise ValueError(f"gates must be 1 or 4, got {shown(gates)}")
    check_generator("rng", rng)
    rows = int(gates) * hidden
    b = np.zeros(rows, check_float_type("dtype", dtype))
    if framework == "pytorch":
        options = {"limit": 1 / hidden**0.5, "dtype": dtype}
        W_x = random_uniform((rows, inputs), rng, **options)
        W_h = random_uniform((rows, hidden), rng, **options)
        b = random_uniform((2, rows), rng, **options).sum(axis=0)  # bias_ih and bias_hh
    elif framework == "keras":
        W_x = glorot_uniform((rows, inputs), rng, dtype=dtype)
        W_h = random_orthogonal((rows, hidden), rng, dtype=dtype)
        if gates == 4:
            b[hidden : 2 * hidden] = 1.0  # unit_forget_bias
    else:
        W_x = random_normal((rows, inputs), rng, std=0.01, dtype=dtype)
        W_h = random_normal((rows, hidden), rng, std=0.01, dtype=dtype)
    return {"W_x": W_x, "W_h": W_h, "b": b}


def _positive(name, value, dtype):
    """Return `value` in this dtype; raise unless it is a finite number above 0 there."""
    value = check_positive(name, value)
    with np.errstate(over="ignore"):
        number = dtype.type(value)
    if not 0 < number < np.inf:
        raise ValueError(f"{name} must be above 0 and finite in {dtype}, got {value!r}")
    return number
