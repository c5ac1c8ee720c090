"""What a network is: the few methods by which training and tools use one."""

from typing import Any, Protocol

import numpy as np


class Network(Protocol):
    """What `fit` asks of a network. `RNN`, `LSTM` and `GRU` have it, and so may a class of your own.

    There is no base class: whatever has these four methods is a network.

    Examples
    --------
    A leaky integrator, h⁽ᵗ⁾ = a ⊙ h⁽ᵗ⁻¹⁾ + x⁽ᵗ⁾, learns to add up its inputs: a comes near 1, where nothing
    leaks.

    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> from rnn_notes import Adam, Readout, Task, fit, mean_squared_error
    >>> class Leaky:
    ...     def __init__(self, a):
    ...         self.a = a
    ...     def parameters(self):
    ...         return {"a": self.a}
    ...     def forward(self, x):
    ...         h = np.zeros((len(x) + 1, *x.shape[1:]))
    ...         for t in range(1, len(h)):
    ...             h[t] = self.a * h[t - 1] + x[t - 1]
    ...         return h
    ...     def backward(self, x, h, dh):
    ...         direct = np.zeros_like(x)
    ...         direct[-1 if dh.ndim == 2 else slice(None)] = dh
    ...         dx, arrives = np.empty_like(x), 0.0
    ...         for t in reversed(range(len(x))):
    ...             dx[t] = direct[t] + arrives
    ...             arrives = self.a * dx[t]
    ...         return SimpleNamespace(a=np.sum(dx * h[:-1], axis=(0, 1)), x=dx)
    ...     def hidden(self, h):
    ...         return h

    >>> def numbers(length, batch, rng):
    ...     x = rng.normal(size=(length, batch, 1))
    ...     return x, x.sum(axis=0)

    >>> total = Task("sum", inputs=1, outputs=1, loss=mean_squared_error, measure="mean squared error",
    ...              shortest=1, baseline=lambda length: length, generate=numbers)
    >>> leaky, readout = Leaky(np.array([0.5])), Readout(np.ones((1, 1)), np.zeros(1))
    >>> history = fit(leaky, readout, total, Adam(0.01), np.random.default_rng(0), length=10)
    >>> history.outcome, leaky.a.round(1)
    ('solved', array([1.]))
    """

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the trained arrays by name: themselves, no copies, so that an update in place trains."""

    def forward(self, x: np.ndarray, /) -> Any:
        """Return the state for the input `x` of shape (T, B, I): whatever `backward` and `hidden` need."""

    def backward(self, x: np.ndarray, state: Any, dh: np.ndarray, /) -> Any:
        """Return an object with the gradients as attributes.

        One for each parameter, of its name and shape, and `x`, for the input. `dh`, of shape (T, B, H), or
        (B, H) for the last state alone, is the gradient of the loss for the hidden states. If it takes the
        option `window`, `fit` passes its own.
        """

    def hidden(self, state: Any, /) -> np.ndarray:
        """Return the hidden states, of shape (T + 1, B, H), the initial one first."""


def _sum_of_windows(terms, T, window, step_back):
    """Return ∂L/∂s of the states s⁽⁰⁾, ..., s⁽ᵀ⁾, with each loss term taken back at most `window` steps.

    `terms` has the gradient of one loss term for each of the last ``len(terms)`` states, at its own state
    alone. ``step_back(ds, steps)`` returns ∂L/∂s⁽ᵗ⁻¹⁾ from ∂L/∂s⁽ᵗ⁾, for the steps t - 1 in the slice
    `steps`. For speed, all terms go back together, step by step: terms that end at different states cannot be
    added up before.
    """
    first, end = T + 1 - len(terms), T + 1
    total = np.zeros((T + 1, *terms.shape[1:]), terms.dtype)
    total[first:end] = terms
    for _ in range(window):
        if first == 0:
            first, terms = 1, terms[1:]  # the first term is at s⁽⁰⁾ and has arrived
        terms = step_back(terms, slice(first - 1, end - 1))
        first, end = first - 1, end - 1
        total[first:end] += terms
    return total
