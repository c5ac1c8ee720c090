"""The gated recurrent unit: forward, backward through time, and the Jacobians in between."""

from dataclasses import dataclass

import numpy as np

from rnn_notes._checks import (
    check_array,
    check_integer,
    check_overflow,
    check_sums,
    check_weights,
    refuse_overflow,
)
from rnn_notes.network import _sum_of_windows


@dataclass(frozen=True, eq=False)
class GRUState:
    """What `GRU.forward` computed: states and gates of every step.

    Attributes
    ----------
    h : ndarray of shape (T + 1, B, H)
        Hidden states; ``h[0]`` is the initial one.
    gates : ndarray of shape (T, B, 2H)
        The gates r and z after their activation. ``gates[t - 1]`` made ``h[t]``. They have the absolute
        accuracy of numbers near 1, so a gate that is nearly closed may be exactly 0.
    n : ndarray of shape (T, B, H)
        The candidate for the state.
    recurrent : ndarray of shape (T, B, H)
        W_hn h⁽ᵗ⁻¹⁾ + b_n, which the reset gate multiplies.
    """

    h: np.ndarray
    gates: np.ndarray
    n: np.ndarray
    recurrent: np.ndarray

    @property
    def r(self) -> np.ndarray:
        """The reset gate, a view of shape (T, B, H)."""
        return self.gates[..., : self.h.shape[-1]]

    @property
    def z(self) -> np.ndarray:
        """The update gate, a view of shape (T, B, H)."""
        return self.gates[..., self.h.shape[-1] :]


@dataclass(frozen=True, eq=False)
class GRUGradients:
    """Gradients of a loss, each of the shape of what it is the gradient for.

    Attributes
    ----------
    W_x, W_h, b, b_n : ndarray
        For the parameters, of shapes (3H, I), (3H, H), (3H,) and (H,).
    x : ndarray
        For the input, of shape (T, B, I).
    h0 : ndarray
        For the initial state, of shape (B, H).
    """

    W_x: np.ndarray
    W_h: np.ndarray
    b: np.ndarray
    b_n: np.ndarray
    x: np.ndarray
    h0: np.ndarray


class GRU:
    """The gated recurrent unit (Cho et al. 2014), in the form that PyTorch and cuDNN compute.

    With W_x, W_h and b cut into three parts for r, z and n, of H rows each,

    | r = σ(W_xr x⁽ᵗ⁾ + W_hr h⁽ᵗ⁻¹⁾ + b_r) and z = σ(W_xz x⁽ᵗ⁾ + W_hz h⁽ᵗ⁻¹⁾ + b_z)
    | n = tanh(W_xn x⁽ᵗ⁾ + b_[n] + r ⊙ (W_hn h⁽ᵗ⁻¹⁾ + b_n))
    | h⁽ᵗ⁾ = (1 - z) ⊙ n + z ⊙ h⁽ᵗ⁻¹⁾

    where b_[n] is the last part of b. In the paper, r multiplies the state before the product with W_hn. Here
    it acts behind the product, so what it multiplies has a bias of its own, b_n.

    The parameters are kept, not copied, so an update in place trains the network.

    Parameters
    ----------
    W_x : ndarray of shape (3H, I)
        Input weights of r, z, n, float32 or float64. All other arrays must have the same dtype.
    W_h : ndarray of shape (3H, H)
        Recurrent weights.
    b : ndarray of shape (3H,)
        Bias; ``b[H:2*H]`` is the update gate's. Of PyTorch's `bias_ih_l0` and `bias_hh_l0` it is the sum for
        r and z, and `bias_ih_l0` alone for n.
    b_n : ndarray of shape (H,)
        The bias behind the reset gate, ``bias_hh_l0[2*H:]``.

    References
    ----------
    K. Cho, B. van Merriënboer, C. Gulcehre, D. Bahdanau, F. Bougares, H. Schwenk, Y. Bengio, "Learning phrase
    representations using RNN encoder-decoder for statistical machine translation", EMNLP 2014, section 2.3,
    https://arxiv.org/abs/1406.1078. There the roles of z and 1 - z are exchanged.

    PyTorch, https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html.

    Examples
    --------
    One unit with no weights. A large bias shuts the way for the candidate, and the state keeps its value; the
    reset gate has no bias and is half open.

    >>> import numpy as np
    >>> from rnn_notes import GRU
    >>> gru = GRU(W_x=np.zeros((3, 1)), W_h=np.zeros((3, 1)), b=np.array([0.0, 20.0, 0.0]), b_n=np.zeros(1))
    >>> state = gru.forward(np.zeros((3, 1, 1)), h0=np.ones((1, 1)))
    >>> state.h.ravel().round(6), state.r.ravel()
    (array([1., 1., 1., 1.]), array([0.5, 0.5, 0.5]))
    """

    def __init__(self, W_x, W_h, b, b_n):
        self.W_x, self.W_h, self.b, self.b_n = W_x, W_h, b, b_n
        self._check_parameters()

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the arrays `W_x`, `W_h`, `b` and `b_n` by name: themselves, no copies."""
        return {"W_x": self.W_x, "W_h": self.W_h, "b": self.b, "b_n": self.b_n}

    def hidden(self, state) -> np.ndarray:
        """Return ``state.h``."""
        return state.h

    @refuse_overflow
    def forward(self, x, h0=None) -> GRUState:
        """Run the network over a batch of sequences.

        Parameters
        ----------
        x : ndarray of shape (T, B, I)
            Input: time, batch, feature. ``x[t - 1]`` is x⁽ᵗ⁾.
        h0 : ndarray of shape (B, H), optional
            Initial state; zeros if not given.

        Returns
        -------
        GRUState
            With attributes `h` of shape (T + 1, B, H) and the gates `r`, `z`, `n` of shape (T, B, H).

        Examples
        --------
        The second input makes the update gate drop: the state takes the first input that comes with it, and
        keeps it.

        >>> import numpy as np
        >>> from rnn_notes import GRU
        >>> W_x = np.array([[0.0, 0], [0, -18], [1, 0]])
        >>> gru = GRU(W_x, W_h=np.zeros((3, 1)), b=np.array([0.0, 9, 0]), b_n=np.zeros(1))
        >>> x = np.array([[0.5, 1], [0.1, 0], [0.2, 0], [0.9, 1]]).reshape(4, 1, 2)
        >>> gru.forward(x).h.ravel().round(2)
        array([0.  , 0.46, 0.46, 0.46, 0.72])
        """
        H, inputs, dtype = self._check_parameters(finite=False)
        T, B, _ = check_array("x", x, dtype, ("T", "B", inputs), finite=False)
        if h0 is not None:
            check_array("h0", h0, dtype, (B, H))
        h = np.empty((T + 1, B, H), dtype)
        h[0] = 0.0 if h0 is None else h0

        # For speed: σ(a) = ½ tanh(a/2) + ½. a/2 comes from halved weights.
        W_x_rz, W_x_n = 0.5 * self.W_x[: 2 * H].T, self.W_x[2 * H :].T
        W_h_rz, W_h_n = 0.5 * self.W_h[: 2 * H].T, self.W_h[2 * H :].T
        W_h_rz, W_h_n = np.ascontiguousarray(W_h_rz), np.ascontiguousarray(W_h_n)

        # For speed: one product for the inputs of all steps. gates[t - 1] and n[t - 1] hold W_x x⁽ᵗ⁾ + b
        # until their turn. Gates and candidate are two arrays, so that each is one piece of memory at every
        # step.
        gates, n, recurrent = (np.empty((T, B, size), dtype) for size in (2 * H, H, H))
        np.dot(x.reshape(T * B, inputs), W_x_rz, out=gates.reshape(T * B, 2 * H))
        np.dot(x.reshape(T * B, inputs), W_x_n, out=n.reshape(T * B, H))
        gates += 0.5 * self.b[: 2 * H]
        n += self.b[2 * H :]
        state = GRUState(h, gates, n, recurrent)
        b_n = np.tile(self.b_n, (B, 1))  # for speed: one row for each sequence
        product, change = np.empty((B, 2 * H), dtype), np.empty((B, H), dtype)  # for speed: used again
        before = h[0]
        for rz, r, z, n_t, behind, h_t in zip(gates, state.r, state.z, n, recurrent, h[1:], strict=True):
            rz += np.dot(before, W_h_rz, out=product)
            np.tanh(rz, out=rz)
            rz *= 0.5
            rz += 0.5
            np.dot(before, W_h_n, out=behind)
            behind += b_n
            n_t += np.multiply(r, behind, out=change)
            np.tanh(n_t, out=n_t)
            np.subtract(before, n_t, out=change)
            change *= z
            before = np.add(n_t, change, out=h_t)  # (1 - z) ⊙ n + z ⊙ h⁽ᵗ⁻¹⁾
        check_sums(self.parameters(), x, h)
        return state

    @refuse_overflow
    def backward(self, x, state, dh, window=None) -> GRUGradients:
        """Backpropagate through time.

        Parameters
        ----------
        x : ndarray of shape (T, B, I)
            The input given to `forward`.
        state : GRUState
            What `forward` returned.
        dh : ndarray of shape (T, B, H) or (B, H)
            The direct dependence of the loss on the states: ``dh[t - 1]`` is ∂L/∂h⁽ᵗ⁾ with all other states
            fixed. Of shape (B, H) for a loss that sees only the last state.
        window : int, optional
            Truncate, as in `RNN.backward`.

        Returns
        -------
        GRUGradients
            With attributes `W_x`, `W_h`, `b`, `b_n`, `x` and `h0`, summed over the batch for the parameters.

        Examples
        --------
        The update gate is σ(1) = 0.731. Without recurrent weights the state keeps that share of its gradient
        at each of three steps.

        >>> import numpy as np
        >>> from rnn_notes import GRU
        >>> gru = GRU(np.zeros((3, 1)), np.zeros((3, 1)), b=np.array([0.0, 1.0, 0.0]), b_n=np.zeros(1))
        >>> x = np.zeros((3, 1, 1))
        >>> gradients = gru.backward(x, gru.forward(x), dh=np.ones((1, 1)))
        >>> gradients.h0.round(4), round(0.7310586**3, 4)
        (array([[0.3907]]), 0.3907)
        """
        H, inputs, dtype = self._check_parameters(finite=False)
        T, B, _ = check_array("x", x, dtype, ("T", "B", inputs), finite=False)
        self._check_state(state, T, B)
        check_array("dh", dh, dtype, (T, B, H), (B, H), finite=False)
        window = T if window is None else min(check_integer("window", window, 1), T)

        if window == T:
            da, dn, dh0 = self._backward_full(state, dh)
        else:
            by_a, by_n = np.empty((T, B, 3, H), dtype), np.empty((T, B, H), dtype)
            self._local_derivatives(state, slice(T), by_a, by_n)
            step_back = lambda dh, steps: self._step_back(dh, by_a[steps], state.z[steps])  # noqa: E731
            total = _sum_of_windows(dh.reshape(-1, B, H), T, window, step_back)
            da, dn, dh0 = by_a * total[1:, :, None], by_n * total[1:], total[0].copy()

        # For speed: all steps are rows of one product per parameter. The third part of da is behind the reset
        # gate for W_h and b_n, and before it, where x enters, for the others.
        rows, ones = da.reshape(T * B, 3 * H), np.ones(T * B, dtype)
        W_h = rows.T @ state.h[:-1].reshape(T * B, H)
        b_n = ones @ rows[:, 2 * H :]  # the same as a sum over the rows
        da[:, :, 2] = dn
        gradients = GRUGradients(
            W_x=rows.T @ x.reshape(T * B, inputs),
            W_h=W_h,
            b=ones @ rows,
            b_n=b_n,
            x=(rows @ self.W_x).reshape(x.shape),
            h0=dh0,
        )
        check_overflow(self.parameters() | {"x": x, "dh": dh}, **vars(gradients))
        return gradients

    def _backward_full(self, state, dh):
        """Return ∂L/∂a, ∂L/∂n before the tanh, of every step, and ∂L/∂h[0], in one sweep from the end.

        a is what a step adds to r, z and n from the state before: W_h h⁽ᵗ⁻¹⁾, before the reset gate acts.
        """
        T, B, H = state.z.shape
        dtype, z = state.h.dtype, state.z
        da, dn = np.empty((T, B, 3, H), dtype), np.empty((T, B, H), dtype)
        dh_next, through_z = np.zeros((2, B, H), dtype)  # nothing arrives at the last step
        if dh.ndim == 2:
            dh_next += dh
        block = max(1, 2**15 // (B * H))  # for speed: local derivatives of so many steps stay in the cache
        for end in range(T, 0, -block):
            start = max(0, end - block)
            self._local_derivatives(state, slice(start, end), da[start:end], dn[start:end])
            for t in reversed(range(start, end)):
                if dh.ndim == 3:
                    dh_next += dh[t]
                # Gates and candidate act on the state, and on nothing else.
                da_t, dn_t = da[t], dn[t]
                da_t *= dh_next[:, None]
                dn_t *= dh_next
                # One step back past the gates is a product with z, and nothing else.
                # One step back through them contains σ′ or tanh′, and W_h.
                np.multiply(dh_next, z[t], out=through_z)
                np.dot(da_t.reshape(B, 3 * H), self.W_h, out=dh_next)
                dh_next += through_z
        return da, dn, dh_next

    def _local_derivatives(self, state, steps, by_a, by_n):
        """Write ∂h/∂a of the steps into `by_a`, and ∂h by n before the tanh into `by_n`."""
        r, z, n = state.r[steps], state.z[steps], state.n[steps]
        np.multiply(n, n, out=by_n)
        np.subtract(1, by_n, out=by_n)  # tanh′ = 1 - tanh²
        by_n *= 1 - z
        gates = state.gates[steps].reshape(len(by_a), -1, 2, by_a.shape[-1])
        np.subtract(1, gates, out=by_a[:, :, :2])
        by_a[:, :, :2] *= gates  # σ′ = σ (1 - σ), right for r and z
        by_a[:, :, 0] *= state.recurrent[steps] * by_n  # r acts on the candidate
        by_a[:, :, 1] *= state.h[:-1][steps] - n
        np.multiply(r, by_n, out=by_a[:, :, 2])

    def _step_back(self, dh, by_a, z):
        """Return the rows `dh`, gradients for h⁽ᵗ⁾, times the Jacobian of step t."""
        da = by_a * dh[..., None, :]
        return (da.reshape(-1, len(self.W_h)) @ self.W_h).reshape(dh.shape) + z * dh

    @refuse_overflow
    def step_jacobians(self, state) -> np.ndarray:
        """Return the Jacobian of every step, ∂h⁽ᵗ⁾/∂h⁽ᵗ⁻¹⁾.

        Parameters
        ----------
        state : GRUState
            What `forward` returned.

        Returns
        -------
        ndarray of shape (T, B, H, H)
            ``J[t - 1]`` is ∂h⁽ᵗ⁾/∂h⁽ᵗ⁻¹⁾ = diag(z) + the three paths through r, z and n, for each sequence of
            the batch.

        Examples
        --------
        From a state of 0 and with all gates half open, half of the state stays, and half of r = 1/2 of the
        recurrent weight 0.4 comes through the candidate.

        >>> import numpy as np
        >>> from rnn_notes import GRU
        >>> gru = GRU(np.zeros((3, 1)), np.array([[0.0], [0.0], [0.4]]), np.zeros(3), np.zeros(1))
        >>> gru.step_jacobians(gru.forward(np.zeros((1, 1, 1)))).round(3)
        array([[[[0.6]]]])
        """
        self._check_parameters()
        T, B, H = self._check_state(state)
        by_a, by_n = np.empty((T, B, 3, H), state.h.dtype), np.empty((T, B, H), state.h.dtype)
        self._local_derivatives(state, slice(T), by_a, by_n)
        J = np.zeros((T, B, H, H), state.h.dtype)
        for number, W in enumerate(np.split(self.W_h, 3)):
            J += by_a[:, :, number, :, None] * W
        unit = np.arange(H)
        J[..., unit, unit] += state.z
        check_overflow(J=J)
        return J

    @refuse_overflow
    def jacobian_product(self, state, k, t) -> np.ndarray:
        """Return ∂h⁽ᵗ⁾/∂h⁽ᵏ⁾, the product of the step Jacobians from t down to k + 1.

        Parameters
        ----------
        state : GRUState
            What `forward` returned.
        k, t : int
            The steps, 0 <= k <= t <= T.

        Returns
        -------
        ndarray of shape (B, H, H)
            For each sequence of the batch; the identity for k = t.

        Examples
        --------
        Without recurrent weights it is the product of the update gates: with a bias of ln 99, 100 steps leave
        37 % of the gradient.

        >>> import numpy as np
        >>> from rnn_notes import GRU
        >>> b = np.array([0.0, np.log(99.0), 0.0])
        >>> gru = GRU(np.zeros((3, 1)), np.zeros((3, 1)), b, b_n=np.zeros(1))
        >>> state = gru.forward(np.zeros((100, 1, 1)))
        >>> gru.jacobian_product(state, k=0, t=100).round(3)
        array([[[0.366]]])
        """
        self._check_parameters()
        T, B, H = self._check_state(state)
        t = check_integer("t", t, 0, T)
        k = check_integer("k", k, 0, t)
        product = np.tile(np.eye(H, dtype=state.h.dtype), (B, 1, 1))
        for s in range(t, k, -1):  # for speed from the left, row by row, as a gradient goes
            by_a, by_n = np.empty((1, B, 3, H), state.h.dtype), np.empty((1, B, H), state.h.dtype)
            self._local_derivatives(state, slice(s - 1, s), by_a, by_n)
            product = self._step_back(product, by_a[0][:, None], state.z[s - 1][:, None])
        check_overflow(product=product)
        return product

    def _check_parameters(self, finite=True):
        """Return H, I and the dtype."""
        H, inputs, dtype = check_weights(3, self.W_x, self.W_h, self.b, finite)
        check_array("b_n", self.b_n, dtype, (H,))
        return H, inputs, dtype

    def _check_state(self, state, T="T", B="B"):
        """Return T, B and H; raise unless `state` is a state of this network."""
        if not isinstance(state, GRUState):
            raise TypeError(f"state must be the GRUState that forward returned, got {type(state).__name__}")
        H, dtype = self.W_h.shape[1], self.W_x.dtype
        T, B, _ = check_array("state.gates", state.gates, dtype, (T, B, 2 * H))
        for name in ("n", "recurrent"):
            check_array(f"state.{name}", getattr(state, name), dtype, (T, B, H))
        check_array("state.h", state.h, dtype, (T + 1, B, H))
        return T, B, H
