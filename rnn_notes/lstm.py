"""Long short-term memory: forward, backward through time, and the path along the cell."""

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
class LSTMState:
    """What `LSTM.forward` computed: states and gates of every step.

    Attributes
    ----------
    h, c : ndarray of shape (T + 1, B, H)
        Hidden states and cells; ``h[0]`` and ``c[0]`` are the initial ones.
    gates : ndarray of shape (T, B, 4H)
        The four gates after their activations, in the order i, f, g, o. ``gates[t - 1]`` made ``h[t]``. They
        have the absolute accuracy of numbers near 1, so a gate that is nearly closed may be exactly 0.
    """

    h: np.ndarray
    c: np.ndarray
    gates: np.ndarray

    @property
    def i(self) -> np.ndarray:
        """The input gate, a view of shape (T, B, H)."""
        return self._gate(0)

    @property
    def f(self) -> np.ndarray:
        """The forget gate, a view of shape (T, B, H)."""
        return self._gate(1)

    @property
    def g(self) -> np.ndarray:
        """The candidate for the cell, a view of shape (T, B, H)."""
        return self._gate(2)

    @property
    def o(self) -> np.ndarray:
        """The output gate, a view of shape (T, B, H)."""
        return self._gate(3)

    def _gate(self, number):
        H = self.h.shape[-1]
        return self.gates[..., number * H : (number + 1) * H]


@dataclass(frozen=True, eq=False)
class LSTMGradients:
    """Gradients of a loss, each of the shape of what it is the gradient for.

    Attributes
    ----------
    W_x, W_h, b : ndarray
        For the parameters, of shapes (4H, I), (4H, H) and (4H,).
    x : ndarray
        For the input, of shape (T, B, I).
    h0, c0 : ndarray
        For the initial hidden state and the initial cell, of shape (B, H).
    """

    W_x: np.ndarray
    W_h: np.ndarray
    b: np.ndarray
    x: np.ndarray
    h0: np.ndarray
    c0: np.ndarray


class LSTM:
    """Long short-term memory (Hochreiter and Schmidhuber 1997) with a forget gate (Gers et al. 2000).

    With z⁽ᵗ⁾ = W_h h⁽ᵗ⁻¹⁾ + W_x x⁽ᵗ⁾ + b cut into four parts z_i, z_f, z_g, z_o of H rows each,

    | i, f, o = σ(z_i), σ(z_f), σ(z_o) and g = tanh(z_g)
    | c⁽ᵗ⁾ = f ⊙ c⁽ᵗ⁻¹⁾ + i ⊙ g
    | h⁽ᵗ⁾ = o ⊙ tanh(c⁽ᵗ⁾)

    The parameters are kept, not copied, so an update in place trains the network.

    Parameters
    ----------
    W_x : ndarray of shape (4H, I)
        Input weights of the gates i, f, g, o, float32 or float64. All other arrays must have the same dtype.
    W_h : ndarray of shape (4H, H)
        Recurrent weights.
    b : ndarray of shape (4H,)
        Bias; ``b[H:2*H]`` is the forget gate's. PyTorch has two biases, `bias_ih_l0` and `bias_hh_l0`: this
        is their sum.

    References
    ----------
    S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9(8):1735-1780, 1997,
    https://doi.org/10.1162/neco.1997.9.8.1735.

    F. A. Gers, J. Schmidhuber, F. Cummins, "Learning to forget: continual prediction with LSTM",
    Neural Computation 12(10):2451-2471, 2000, https://doi.org/10.1162/089976600300015015.

    Examples
    --------
    One unit with no weights. A large bias opens the forget gate, and the cell keeps its value; the input gate
    has no bias and is half open.

    >>> import numpy as np
    >>> from rnn_notes import LSTM
    >>> lstm = LSTM(W_x=np.zeros((4, 1)), W_h=np.zeros((4, 1)), b=np.array([0.0, 20.0, 0.0, 0.0]))
    >>> state = lstm.forward(np.zeros((3, 1, 1)), c0=np.ones((1, 1)))
    >>> state.c.ravel().round(6), state.i.ravel()
    (array([1., 1., 1., 1.]), array([0.5, 0.5, 0.5]))
    """

    def __init__(self, W_x, W_h, b):
        self.W_x, self.W_h, self.b = W_x, W_h, b
        self._check_parameters()

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the arrays `W_x`, `W_h` and `b` by name: themselves, no copies."""
        return {"W_x": self.W_x, "W_h": self.W_h, "b": self.b}

    def hidden(self, state) -> np.ndarray:
        """Return ``state.h``."""
        return state.h

    @refuse_overflow
    def forward(self, x, h0=None, c0=None) -> LSTMState:
        """Run the network over a batch of sequences.

        Parameters
        ----------
        x : ndarray of shape (T, B, I)
            Input: time, batch, feature. ``x[t - 1]`` is x⁽ᵗ⁾.
        h0, c0 : ndarray of shape (B, H), optional
            Initial hidden state and initial cell; zeros if not given.

        Returns
        -------
        LSTMState
            With attributes `h`, `c` of shape (T + 1, B, H) and the gates `i`, `f`, `g`, `o` of shape (T, B,
            H).

        Examples
        --------
        Input and forget gate open, output gate shut at the first two of four steps: the cell counts what
        comes in, and the state shows it from the third step on.

        >>> import numpy as np
        >>> from rnn_notes import LSTM
        >>> W_x = np.array([[0.0, 0], [0, 0], [9, 0], [0, 18]])
        >>> lstm = LSTM(W_x, W_h=np.zeros((4, 1)), b=np.array([9.0, 9, 0, -9]))
        >>> x = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]]).reshape(4, 1, 2)
        >>> state = lstm.forward(x)
        >>> state.c.ravel().round(2), state.h.ravel().round(2)
        (array([0., 1., 2., 2., 2.]), array([0.  , 0.  , 0.  , 0.96, 0.96]))
        """
        H, inputs, dtype = self._check_parameters(finite=False)
        T, B, _ = check_array("x", x, dtype, ("T", "B", inputs), finite=False)
        for name, start in (("h0", h0), ("c0", c0)):
            if start is not None:
                check_array(name, start, dtype, (B, H))
        h, c = np.empty((2, T + 1, B, H), dtype)
        h[0] = 0.0 if h0 is None else h0
        c[0] = 0.0 if c0 is None else c0

        # For speed: σ(z) = ½ tanh(z/2) + ½, so one tanh makes all four gates. z/2 comes from halved weights.
        scale = np.repeat(np.array([0.5, 0.5, 1.0, 0.5], dtype), H)
        shift = 1 - scale

        # For speed: one product for the inputs of all steps. gates[t - 1] holds W_x x⁽ᵗ⁾ + b until its turn.
        gates = np.empty((T, B, 4 * H), dtype)
        W_x_T, W_h_T = self.W_x.T * scale, np.ascontiguousarray(self.W_h.T) * scale
        np.dot(x.reshape(T * B, inputs), W_x_T, out=gates.reshape(T * B, 4 * H))
        gates += scale * self.b
        state = LSTMState(h, c, gates)
        i, f, g, o = state.i, state.f, state.g, state.o
        recurrent, product = np.empty((B, 4 * H), dtype), np.empty((B, H), dtype)  # for speed: used again
        for t in range(1, T + 1):
            z = gates[t - 1]
            z += np.dot(h[t - 1], W_h_T, out=recurrent)
            np.tanh(z, out=z)
            z *= scale
            z += shift
            c_t = np.multiply(f[t - 1], c[t - 1], out=c[t])
            c_t += np.multiply(i[t - 1], g[t - 1], out=product)
            np.multiply(o[t - 1], np.tanh(c_t, out=product), out=h[t])
        check_sums(self.parameters(), x, h)
        return state

    @refuse_overflow
    def backward(self, x, state, dh, dc=None, window=None) -> LSTMGradients:
        """Backpropagate through time.

        Parameters
        ----------
        x : ndarray of shape (T, B, I)
            The input given to `forward`.
        state : LSTMState
            What `forward` returned.
        dh : ndarray of shape (T, B, H) or (B, H)
            The direct dependence of the loss on the hidden states: ``dh[t - 1]`` is ∂L/∂h⁽ᵗ⁾ with all other
            states fixed. Of shape (B, H) for a loss that sees only the last state.
        dc : ndarray of shape (B, H), optional
            The gradient that arrives at the last cell, c⁽ᵀ⁾; zeros if not given. To cut a sequence in two:
            with the gradients for `h0` and `c0` of the second part added to ``dh[-1]`` and given as `dc`, the
            first part goes on exactly where the second ended.
        window : int, optional
            Truncate, as in `RNN.backward`; the state that is reached is h and c.

        Returns
        -------
        LSTMGradients
            With attributes `W_x`, `W_h`, `b`, `x`, `h0` and `c0`, summed over the batch for the parameters.

        Examples
        --------
        The forget gate is σ(1) = 0.731. The cell keeps that share of its gradient at each of three steps;
        with the output gate half open and a small cell, half of it reaches the state.

        >>> import numpy as np
        >>> from rnn_notes import LSTM
        >>> lstm = LSTM(np.zeros((4, 1)), np.zeros((4, 1)), b=np.array([0.0, 1.0, 0.0, 0.0]))
        >>> x = np.zeros((3, 1, 1))
        >>> gradients = lstm.backward(x, lstm.forward(x), dh=np.ones((1, 1)))
        >>> gradients.c0.round(4), round(0.5 * 0.7310586**3, 4)
        (array([[0.1954]]), 0.1954)
        """
        H, inputs, dtype = self._check_parameters(finite=False)
        T, B, _ = check_array("x", x, dtype, ("T", "B", inputs), finite=False)
        self._check_state(state, T, B)
        check_array("dh", dh, dtype, (T, B, H), (B, H), finite=False)
        if dc is not None:
            check_array("dc", dc, dtype, (B, H))
        window = T if window is None else min(check_integer("window", window, 1), T)

        if window == T:
            dz, dh0, dc0 = self._backward_full(state, dh, dc)
        else:
            terms = np.zeros((T if dh.ndim == 3 else 1, B, 2 * H), dtype)
            terms[..., :H] = dh
            if dc is not None:
                terms[-1, :, H:] = dc
            by_z = np.empty((T, B, 4, H), dtype)
            h_by_c = self._local_derivatives(state, slice(T), out=by_z)
            step_back = lambda ds, steps: self._step_back(ds, h_by_c[steps], by_z[steps], state.f[steps])  # noqa: E731
            total = _sum_of_windows(terms, T, window, step_back)
            dz, _ = self._to_gates(total[1:], h_by_c, by_z)
            dh0, dc0 = total[0, :, :H].copy(), total[0, :, H:].copy()

        dz = dz.reshape(T * B, 4 * H)  # for speed: all steps are rows of one product per parameter
        gradients = LSTMGradients(
            W_x=dz.T @ x.reshape(T * B, inputs),
            W_h=dz.T @ state.h[:-1].reshape(T * B, H),
            b=np.ones(T * B, dtype) @ dz,  # for speed: the same as dz.sum(axis=0)
            x=(dz @ self.W_x).reshape(x.shape),
            h0=dh0,
            c0=dc0,
        )
        check_overflow(self.parameters() | {"x": x, "dh": dh}, **vars(gradients))
        return gradients

    def _backward_full(self, state, dh, dc):
        """Return ∂L/∂z of every step, ∂L/∂h[0] and ∂L/∂c[0], in one sweep from the end."""
        T, B, H = state.f.shape
        dtype, f = state.h.dtype, state.f
        dz = np.empty((T, B, 4, H), dtype)  # one row per gate: i, f, g, o
        dh_next, dc_next = np.zeros((2, B, H), dtype)  # nothing arrives at the last step, or what is given
        arriving = np.empty((B, 4, H), dtype)
        if dh.ndim == 2:
            dh_next += dh
        if dc is not None:
            dc_next += dc
        block = max(1, 2**15 // (B * H))  # for speed: local derivatives of so many steps stay in the cache
        for end in range(T, 0, -block):
            start = max(0, end - block)
            h_by_c = self._local_derivatives(state, slice(start, end), out=dz[start:end])
            for t in reversed(range(start, end)):
                if dh.ndim == 3:
                    dh_next += dh[t]
                # The state is o ⊙ tanh(c), so the cell receives from two sides:
                # from the next cell, and through the state.
                dc_next += dh_next * h_by_c[t - start]
                # The gates i, f and g act through the cell, o acts on the state.
                arriving[:, :3] = dc_next[:, None]
                arriving[:, 3] = dh_next
                dz_t = np.multiply(dz[t], arriving, out=dz[t])
                # One step back along the cell is a product with f, and nothing else.
                # One step back through the gates contains σ′ or tanh′, and W_h.
                dc_next *= f[t]
                np.dot(dz_t.reshape(B, 4 * H), self.W_h, out=dh_next)
        return dz, dh_next, dc_next

    def _to_gates(self, ds, h_by_c, by_z):
        """Return ∂L/∂z and ∂L/∂c from the rows `ds`, gradients for the whole state (h, c) of a step."""
        H = h_by_c.shape[-1]
        dh, dc = ds[..., :H], ds[..., H:]
        dc = dc + dh * h_by_c
        return by_z * np.stack([dc, dc, dc, dh], axis=-2), dc

    def _step_back(self, ds, h_by_c, by_z, f):
        """Return the rows `ds`, gradients for (h⁽ᵗ⁾, c⁽ᵗ⁾), times the Jacobian of step t."""
        dz, dc = self._to_gates(ds, h_by_c, by_z)
        dh = dz.reshape(-1, len(self.W_h)) @ self.W_h
        return np.concatenate([dh.reshape(dc.shape), dc * f], axis=-1)

    def _local_derivatives(self, state, steps, out):
        """Return ∂h/∂c of the steps, and write ∂c/∂z_i, ∂c/∂z_f, ∂c/∂z_g and ∂h/∂z_o into `out`."""
        i, _, g, o = (gate[steps] for gate in (state.i, state.f, state.g, state.o))
        tanh_c = np.tanh(state.c[1:][steps])
        gates = state.gates[steps].reshape(out.shape)
        np.subtract(1, gates, out=out)
        out *= gates  # σ′ = σ (1 - σ), right for i, f and o
        out[:, :, 2] = 1 - g * g  # tanh′ = 1 - tanh²
        for number, factor in enumerate((g, state.c[:-1][steps], i, tanh_c)):
            out[:, :, number] *= factor
        return o * (1 - tanh_c * tanh_c)

    @refuse_overflow
    def step_jacobians(self, state) -> np.ndarray:
        """Return the Jacobian of every step, ∂(h⁽ᵗ⁾, c⁽ᵗ⁾)/∂(h⁽ᵗ⁻¹⁾, c⁽ᵗ⁻¹⁾).

        Parameters
        ----------
        state : LSTMState
            What `forward` returned.

        Returns
        -------
        ndarray of shape (T, B, 2H, 2H)
            ``J[t - 1]`` is the Jacobian of step t, for each sequence of the batch. Rows and columns: the H of
            h, then the H of c.

        Examples
        --------
        Without recurrent weights no path leads through h, and the columns of h are 0. The cell passes on f =
        1/2 of itself, and the state o = 1/2 of that, for a cell of 0.

        >>> import numpy as np
        >>> from rnn_notes import LSTM
        >>> lstm = LSTM(np.zeros((4, 1)), np.zeros((4, 1)), np.zeros(4))
        >>> lstm.step_jacobians(lstm.forward(np.zeros((1, 1, 1))))[0, 0]
        array([[0.  , 0.25],
               [0.  , 0.5 ]])
        """
        self._check_parameters()
        T, B, H = self._check_state(state)
        by_z = np.empty((T, B, 4, H), state.h.dtype)
        h_by_c = self._local_derivatives(state, slice(T), out=by_z)
        i, f, g, o = np.split(self.W_h, 4)
        J = np.zeros((T, B, 2 * H, 2 * H), state.h.dtype)
        column = lambda v: v[..., None]  # noqa: E731 - scales the rows of a matrix
        c_by_h, h_by_h = J[..., H:, :H], J[..., :H, :H]
        for number, W in enumerate((i, f, g)):
            c_by_h += column(by_z[:, :, number]) * W
        np.multiply(column(h_by_c), c_by_h, out=h_by_h)
        h_by_h += column(by_z[:, :, 3]) * o
        unit = np.arange(H)
        J[..., H + unit, H + unit] = state.f
        J[..., unit, H + unit] = h_by_c * state.f
        check_overflow(J=J)
        return J

    @refuse_overflow
    def jacobian_product(self, state, k, t) -> np.ndarray:
        """Return ∂(h⁽ᵗ⁾, c⁽ᵗ⁾)/∂(h⁽ᵏ⁾, c⁽ᵏ⁾), the product of the step Jacobians from t down to k + 1.

        Parameters
        ----------
        state : LSTMState
            What `forward` returned.
        k, t : int
            The steps, 0 <= k <= t <= T.

        Returns
        -------
        ndarray of shape (B, 2H, 2H)
            For each sequence of the batch; the identity for k = t.

        Examples
        --------
        The block of the cells is the path along them, if no other leads from one to the next.

        >>> import numpy as np
        >>> from rnn_notes import LSTM
        >>> lstm = LSTM(np.zeros((4, 1)), np.zeros((4, 1)), np.zeros(4))
        >>> state = lstm.forward(np.zeros((5, 1, 1)))
        >>> lstm.jacobian_product(state, k=0, t=5)[0, 1, 1], lstm.cell_path(state, k=0, t=5)[0, 0], 0.5**5
        (np.float64(0.03125), np.float64(0.03125), 0.03125)
        """
        self._check_parameters()
        T, B, H = self._check_state(state)
        t = check_integer("t", t, 0, T)
        k = check_integer("k", k, 0, t)
        product = np.tile(np.eye(2 * H, dtype=state.h.dtype), (B, 1, 1))
        for s in range(t, k, -1):  # for speed from the left, row by row, as a gradient goes
            by_z = np.empty((1, B, 4, H), state.h.dtype)
            h_by_c = self._local_derivatives(state, slice(s - 1, s), out=by_z)
            product = self._step_back(product, h_by_c[0][:, None], by_z[0][:, None], state.f[s - 1][:, None])
        check_overflow(product=product)
        return product

    def cell_path(self, state, k, t) -> np.ndarray:
        """Return what ∂c⁽ᵗ⁾/∂c⁽ᵏ⁾ is along the cells alone: the product of the forget gates in between.

        The other paths from c⁽ᵏ⁾ to c⁽ᵗ⁾ lead through h and the gates; `backward` counts them too.

        Parameters
        ----------
        state : LSTMState
            What `forward` returned.
        k, t : int
            Times, with 0 <= k <= t <= T.

        Returns
        -------
        ndarray of shape (B, H)
            f⁽ᵏ⁺¹⁾ ⊙ ... ⊙ f⁽ᵗ⁾, the diagonal of a diagonal Jacobian; ones for k = t.

        Examples
        --------
        With a bias of ln 99 the forget gate is 0.99, and 100 steps leave 37 % of the gradient.

        >>> import numpy as np
        >>> from rnn_notes import LSTM
        >>> b = np.array([0.0, np.log(99.0), 0.0, 0.0])
        >>> lstm = LSTM(np.zeros((4, 1)), np.zeros((4, 1)), b)
        >>> state = lstm.forward(np.zeros((100, 1, 1)))
        >>> lstm.cell_path(state, k=0, t=100).round(3)
        array([[0.366]])
        """
        self._check_parameters()
        T, _, _ = self._check_state(state)
        t = check_integer("t", t, 0, T)
        k = check_integer("k", k, 0, t)
        return np.prod(state.f[k:t], axis=0)

    def _check_parameters(self, finite=True):
        """Return H, I and the dtype."""
        return check_weights(4, self.W_x, self.W_h, self.b, finite)

    def _check_state(self, state, T="T", B="B"):
        """Return T, B and H; raise unless `state` is a state of this network."""
        if not isinstance(state, LSTMState):
            raise TypeError(f"state must be the LSTMState that forward returned, got {type(state).__name__}")
        H, dtype = self.W_h.shape[1], self.W_x.dtype
        T, B, _ = check_array("state.gates", state.gates, dtype, (T, B, 4 * H))
        check_array("state.h", state.h, dtype, (T + 1, B, H))
        check_array("state.c", state.c, dtype, (T + 1, B, H))
        return T, B, H
