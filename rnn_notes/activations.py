"""Activation functions, their derivatives, and the supremum gamma of each derivative."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Activation:
    """An elementwise function h = φ(z) with its derivative.

    `tanh`, `sigmoid`, `relu` and `identity` are the four instances; `ACTIVATIONS` maps their names to them.

    Attributes
    ----------
    name : str
        The name that `RNN` takes.
    function : callable
        ``function(z, out=None)``: φ(z), written into `out` if given. Calling the activation calls it.
    derivative_from_output : callable
        ``derivative_from_output(h, out=None)``: φ′(z) from h = φ(z), written into `out` if given. The forward
        pass keeps h, so the backward pass needs no z. Where h has rounded to its limit, the result is exactly
        0. `out` must not share memory with `h`.
    gamma : float
        γ, the supremum of abs(φ′): apart from W_h, one step back multiplies a gradient by at most γ
        (Pascanu et al. 2013, section 2.1).

    References
    ----------
    R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks",
    ICML 2013, PMLR 28:1310-1318, section 2.1.

    Examples
    --------
    The sigmoid's derivative is largest at 0, and even there it is only 1/4.

    >>> from rnn_notes import sigmoid
    >>> float(sigmoid(0.0)), float(sigmoid.derivative(0.0)), sigmoid.gamma
    (0.5, 0.25, 0.25)
    """

    name: str
    function: Callable
    derivative_from_output: Callable
    gamma: float

    def __call__(self, z, out=None) -> np.ndarray:
        """φ(z), for a float or an array of floats; see the attribute `function`."""
        self._check(z)
        return self.function(z, out=out)

    def derivative(self, z) -> np.ndarray:
        """Return φ′(z).

        Parameters
        ----------
        z : float or ndarray of floats
            The input of the activation.

        Returns
        -------
        float or ndarray
            φ′ at each element of `z`. For `relu`, φ′(0) = 0.

        Examples
        --------
        The derivative and its value from the output are the same numbers.

        >>> import numpy as np
        >>> from rnn_notes import tanh
        >>> z = np.array([-1.0, 0.0, 1.0])
        >>> tanh.derivative(z).round(3)
        array([0.42, 1.  , 0.42])
        >>> bool(np.all(tanh.derivative(z) == tanh.derivative_from_output(np.tanh(z))))
        True
        """
        return self.derivative_from_output(self(z))

    def _check(self, z):
        kind = getattr(z, "dtype", type(z))
        if isinstance(z, list | tuple) or not np.issubdtype(kind, np.floating):
            raise TypeError(f"z must be a float or an array of floats, got {kind}")


def _sigmoid(z, out=None):
    # 1 / (1 + exp(-z)) overflows for large -z; tanh cannot. The result has the absolute accuracy of numbers
    # near 1: for z below -37, or -17 in float32, it is 0.
    return np.add(0.5 * np.tanh(0.5 * z), 0.5, out=out)


def _sigmoid_derivative(h, out=None):
    return np.multiply(h, np.subtract(1.0, h, out=out), out=out)  # h (1 - h)


def _tanh_derivative(h, out=None):
    return np.subtract(1.0, np.multiply(h, h, out=out), out=out)  # 1 - h²


def _relu(z, out=None):
    return np.maximum(z, 0.0, out=out)


def _relu_derivative(h, out=None):
    return np.heaviside(h, 0.0, out=out)  # 1 for h > 0, else 0


def _identity_derivative(h, out=None):
    out = np.empty_like(h) if out is None else out
    out[...] = 1.0
    return out


tanh = Activation("tanh", np.tanh, _tanh_derivative, gamma=1.0)
"""φ(z) = tanh z, with φ′ = 1 − h².

:meta hide-value:
"""

sigmoid = Activation("sigmoid", _sigmoid, _sigmoid_derivative, gamma=0.25)
"""φ(z) = 1/(1 + exp(−z)), with φ′ = h(1 − h).

:meta hide-value:
"""

relu = Activation("relu", _relu, _relu_derivative, gamma=1.0)
"""φ(z) = max(z, 0), with φ′ = 1 for z > 0, else 0.

:meta hide-value:
"""

identity = Activation("identity", np.positive, _identity_derivative, gamma=1.0)
"""φ(z) = z, with φ′ = 1: a linear network.

:meta hide-value:
"""

ACTIVATIONS = {activation.name: activation for activation in (tanh, sigmoid, relu, identity)}
"""The four activations by name.

:meta hide-value:
"""
