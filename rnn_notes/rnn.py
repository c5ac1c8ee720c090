"""The recurrent network: forward, backward through time, and the Jacobians in between."""

from dataclasses import dataclass

import numpy as np

from rnn_notes._checks import (
    check_array,
    check_choice,
    check_integer,
    check_overflow,
    check_sums,
    check_weights,
    refuse_overflow,
    shown,
)
from rnn_notes.activations import ACTIVATIONS, Activation
from rnn_notes.network import _sum_of_windows


@dataclass(frozen=True, eq=False)
class RNNGradients:
    """Gradients of a loss, each of the shape of what it is the gradient for.

    Attributes
    ----------
    W_x, W_h, b : ndarray
        For the parameters, of shapes (H, I), (H, H) and (H,).
    x : ndarray
        For the input, of shape (T, B, I).
    h0 : ndarray
        For the initial state, of shape (B, H).
    """

    W_x: np.ndarray
    W_h: np.ndarray
    b: np.ndarray
    x: np.ndarray
    h0: np.ndarray


class RNN:
    """The recurrent network h⁽ᵗ⁾ = φ(W_h h⁽ᵗ⁻¹⁾ + W_x x⁽ᵗ⁾ + b) of Elman (1990).

    The parameters are kept, not copied, so an update in place trains the network.

    Parameters
    ----------
    W_x : ndarray of shape (H, I)
        Input weights, float32 or float64. All other arrays must have the same dtype.
    W_h : ndarray of shape (H, H)
        Recurrent weights.
    b : ndarray of shape (H,)
        Bias.
    activation : {"tanh", "sigmoid", "relu", "identity"} or Activation
        φ, or its name.

    References
    ----------
    J. L. Elman, "Finding structure in time", Cognitive Science 14(2):179-211, 1990,
    https://doi.org/10.1207/s15516709cog1402_1.

    Examples
    --------
    One unit without bias or input, so h⁽³⁾ = w³ h⁽⁰⁾. By hand, ∂h⁽³⁾/∂h⁽⁰⁾ = w³ and ∂h⁽³⁾/∂w = 3 w² h⁽⁰⁾.

    >>> import numpy as np
    >>> from rnn_notes import RNN
    >>> rnn = RNN(W_x=np.array([[1.0]]), W_h=np.array([[0.2]]), b=np.zeros(1), activation="identity")
    >>> x = np.zeros((3, 1, 1))
    >>> h = rnn.forward(x, h0=np.array([[0.9]]))
    >>> h.ravel().round(4)
    array([0.9   , 0.18  , 0.036 , 0.0072])
    >>> gradients = rnn.backward(x, h, dh=np.ones((1, 1)))
    >>> gradients.h0.round(4), gradients.W_h.round(4)
    (array([[0.008]]), array([[0.108]]))
    """

    def __init__(self, W_x, W_h, b, activation="tanh"):
        if isinstance(activation, str):
            check_choice("activation", activation, ACTIVATIONS)
            activation = ACTIVATIONS[activation]
        self.W_x, self.W_h, self.b, self.activation = W_x, W_h, b, activation
        self._check_parameters()

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the arrays `W_x`, `W_h` and `b` by name: themselves, no copies."""
        return {"W_x": self.W_x, "W_h": self.W_h, "b": self.b}

    def hidden(self, h) -> np.ndarray:
        """Return `h`: the state of this network is its hidden state."""
        return h

    @refuse_overflow
    def forward(self, x, h0=None) -> np.ndarray:
        """Run the network over a batch of sequences.

        Parameters
        ----------
        x : ndarray of shape (T, B, I)
            Input: time, batch, feature. ``x[t - 1]`` is x⁽ᵗ⁾.
        h0 : ndarray of shape (B, H), optional
            Initial state; zeros if not given.

        Returns
        -------
        ndarray of shape (T + 1, B, H)
            The states. ``h[0]`` is the initial state, and ``h[t]`` is h⁽ᵗ⁾.

        Examples
        --------
        The unit rectifies what comes in, less what it was before.

        >>> import numpy as np
        >>> from rnn_notes import RNN
        >>> rnn = RNN(np.ones((1, 1)), np.array([[-1.0]]), np.zeros(1), activation="relu")
        >>> x = np.array([1.0, 0.0, 3.0]).reshape(3, 1, 1)
        >>> rnn.forward(x).ravel()
        array([0., 1., 0., 3.])
        """
        H, inputs, dtype = self._check_parameters(finite=False)
        T, B, _ = check_array("x", x, dtype, ("T", "B", inputs), finite=False)
        if h0 is not None:
            check_array("h0", h0, dtype, (B, H))
        h = np.empty((T + 1, B, H), dtype)
        h[0] = 0.0 if h0 is None else h0

        # For speed: one product for the inputs of all steps. h[t] holds W_x x⁽ᵗ⁾ + b until its turn.
        np.dot(x.reshape(T * B, inputs), self.W_x.T, out=h[1:].reshape(T * B, H))
        h[1:] += self.b
        W_h_T = np.ascontiguousarray(self.W_h.T)  # for speed: products with a transposed view are slower
        recurrent = np.empty((B, H), dtype)  # for speed: one place for W_h h⁽ᵗ⁻¹⁾, not a new one each step
        phi = self.activation.function
        before = h[0]
        for z in h[1:]:
            z += np.dot(before, W_h_T, out=recurrent)  # for speed: np.dot has less overhead than @
            before = phi(z, out=z)
        check_sums(self.parameters(), x, h)
        return h

    @refuse_overflow
    def backward(self, x, h, dh, window=None) -> RNNGradients:
        """Backpropagate through time (Werbos 1990).

        Parameters
        ----------
        x : ndarray of shape (T, B, I)
            The input given to `forward`.
        h : ndarray of shape (T + 1, B, H)
            The states that `forward` returned.
        dh : ndarray of shape (T, B, H) or (B, H)
            The direct dependence of the loss on the states: ``dh[t - 1]`` is ∂L/∂h⁽ᵗ⁾ with all other states
            fixed. Of shape (B, H) for a loss that sees only the last state.
        window : int, optional
            Truncate (Williams and Peng 1990): the loss term at step t reaches h⁽ᵗ⁾, h⁽ᵗ⁻¹⁾, ..., h⁽ᵗ⁻ᵏ⁾ with
            k = `window`, and no earlier state. Weights and inputs count where they enter a reached state, and
            h⁽⁰⁾ is reached if t <= window. So ``window=T`` gives the full gradients. Time grows with
            T · window, or with T + window for a loss on the last state. Memory grows with T alone.

        Returns
        -------
        RNNGradients
            With attributes `W_x`, `W_h`, `b`, `x` and `h0`, summed over the batch for the parameters.

        References
        ----------
        P. J. Werbos, "Backpropagation through time: what it does and how to do it",
        Proceedings of the IEEE 78(10):1550-1560, 1990, https://doi.org/10.1109/5.58337.

        R. J. Williams, J. Peng, "An efficient gradient-based algorithm for on-line training of
        recurrent network trajectories", Neural Computation 2(4):490-501, 1990,
        https://doi.org/10.1162/neco.1990.2.4.490.

        Examples
        --------
        A window shorter than the sequence loses what the early inputs did to the last state.

        >>> import numpy as np
        >>> from rnn_notes import RNN
        >>> rnn = RNN(np.ones((1, 1)), np.array([[0.5]]), np.zeros(1), activation="identity")
        >>> x = np.ones((4, 1, 1))
        >>> h = rnn.forward(x)
        >>> rnn.backward(x, h, dh=np.ones((1, 1))).x.ravel()
        array([0.125, 0.25 , 0.5  , 1.   ])
        >>> rnn.backward(x, h, dh=np.ones((1, 1)), window=1).x.ravel()
        array([0. , 0. , 0.5, 1. ])
        """
        H, inputs, dtype = self._check_parameters(finite=False)
        T, B, _ = check_array("x", x, dtype, ("T", "B", inputs), finite=False)
        check_array("h", h, dtype, (T + 1, B, H), finite=False)
        check_array("dh", dh, dtype, (T, B, H), (B, H), finite=False)
        window = T if window is None else min(check_integer("window", window, 1), T)

        if dh.ndim == 3 and window == T:
            dz, dh0 = self._backward_full(h, dh)
        else:  # a loss on the last state is one term
            slope = self.activation.derivative_from_output(h[1:])
            step_back = lambda dh, steps: self._step_back(dh, slope[steps])  # noqa: E731
            total = _sum_of_windows(dh.reshape(-1, B, H), T, window, step_back)
            dz, dh0 = slope * total[1:], total[0]

        dz = dz.reshape(T * B, H)  # for speed: all steps are rows of one product per parameter
        gradients = RNNGradients(
            W_x=dz.T @ x.reshape(T * B, inputs),
            W_h=dz.T @ h[:-1].reshape(T * B, H),
            b=np.ones(T * B, dtype) @ dz,  # for speed: the same as dz.sum(axis=0)
            x=(dz @ self.W_x).reshape(x.shape),
            h0=dh0,
        )
        given = self.parameters() | {"x": x, "h": h, "dh": dh}
        check_overflow(given, h=h, **vars(gradients))  # h too: no gradient shows infinity in a last relu
        return gradients

    def _backward_full(self, h, dh):
        """Return ∂L/∂z of every step and ∂L/∂h[0], in one sweep from the end."""
        T, B, H = dh.shape
        # For speed: φ′(z) of all steps at once. The loop turns φ′(z) into ∂L/∂z.
        dz = np.empty((T, B, H), h.dtype)
        self.activation.derivative_from_output(h[1:], out=dz)
        dh_next = np.zeros((B, H), h.dtype)  # nothing arrives at the last step
        for t in reversed(range(T)):
            # dh_next is the gradient that arrives from the next step. It is added,
            # because a state acts on the loss along two paths: directly, and
            # through the next state. Gradients along different paths add.
            dh_next += dh[t]
            dz_t = dz[t]
            # Here the gradient vanishes or explodes: times φ′(z), and then times
            # W_h. Every step back repeats these two lines.
            dz_t *= dh_next
            np.dot(dz_t, self.W_h, out=dh_next)  # row by row: W_hᵀ ∂L/∂z
        return dz, dh_next

    def _step_back(self, dh, slope):
        """Return the rows `dh`, gradients for h⁽ᵗ⁾, times the Jacobian of step t."""
        return ((dh * slope).reshape(-1, len(self.W_h)) @ self.W_h).reshape(dh.shape)

    @refuse_overflow
    def step_jacobians(self, h) -> np.ndarray:
        """Return the Jacobian of every step, ∂h⁽ᵗ⁾/∂h⁽ᵗ⁻¹⁾ = diag(φ′(z⁽ᵗ⁾)) W_h.

        Parameters
        ----------
        h : ndarray of shape (T + 1, B, H)
            The states that `forward` returned.

        Returns
        -------
        ndarray of shape (T, B, H, H)
            ``J[t - 1]`` is ∂h[t]/∂h[t-1], for each sequence of the batch.

        Examples
        --------
        A tanh unit at 0 passes the whole weight on. A saturated unit passes on less.

        >>> import numpy as np
        >>> from rnn_notes import RNN
        >>> rnn = RNN(np.ones((1, 1)), np.array([[2.0]]), np.zeros(1))
        >>> h = rnn.forward(np.array([0.0, 1.0]).reshape(2, 1, 1))
        >>> rnn.step_jacobians(h).ravel().round(3)
        array([2.  , 0.84])
        """
        self._check_states(h)
        J = self.activation.derivative_from_output(h[1:])[..., None] * self.W_h
        check_overflow(J=J)
        return J

    @refuse_overflow
    def jacobian_product(self, h, k, t) -> np.ndarray:
        """Return ∂h⁽ᵗ⁾/∂h⁽ᵏ⁾, the product of the step Jacobians from t down to k + 1.

        Parameters
        ----------
        h : ndarray of shape (T + 1, B, H)
            The states that `forward` returned.
        k, t : int
            The steps, 0 <= k <= t <= T.

        Returns
        -------
        ndarray of shape (B, H, H)
            For each sequence of the batch; the identity for k = t.

        Examples
        --------
        Without an activation the product is a power of W_h.

        >>> import numpy as np
        >>> from rnn_notes import RNN
        >>> W_h = np.array([[0.0, 2.0], [1.0, 0.0]])
        >>> rnn = RNN(np.ones((2, 1)), W_h, np.zeros(2), activation="identity")
        >>> h = rnn.forward(np.ones((4, 1, 1)))
        >>> rnn.jacobian_product(h, k=0, t=4)[0]
        array([[4., 0.],
               [0., 4.]])
        """
        T, B, H = self._check_states(h)
        t = check_integer("t", t, 0, T)
        k = check_integer("k", k, 0, t)
        product = np.tile(np.eye(H, dtype=h.dtype), (B, 1, 1))
        for s in range(t, k, -1):  # for speed from the left, row by row, as a gradient goes
            slope = self.activation.derivative_from_output(h[s])
            product = self._step_back(product, slope[:, None])
        check_overflow(product=product)
        return product

    def _check_parameters(self, finite=True):
        """Return H, I and the dtype."""
        if not isinstance(self.activation, Activation):
            raise TypeError(f"activation must be an Activation, such as relu, got {shown(self.activation)}")
        return check_weights(1, self.W_x, self.W_h, self.b, finite)

    def _check_states(self, h):
        self._check_parameters()
        states, B, H = check_array("h", h, self.W_x.dtype, ("T + 1", "B", len(self.W_h)))
        if states < 2:
            raise ValueError(f"h must have shape (T + 1, B, {H}) with T at least 1, got {h.shape}")
        return states - 1, B, H
