"""How a gradient grows on its way back: products of step Jacobians, carried and never stored."""

from copy import copy
from dataclasses import dataclass

import numpy as np

from rnn_notes._checks import check_array, check_overflow, refuse_overflow
from rnn_notes.gru import GRU
from rnn_notes.lstm import LSTM, LSTMState
from rnn_notes.rnn import RNN

EXACT = 64  # units up to which all directions are carried, not a sample
SAMPLE, FOUND = 16, 8  # directions that are carried of more units: at random, and to find the best
MOST = 1000  # steps back that are measured


@dataclass(frozen=True, eq=False)
class Growth:
    """Norms of ∂h⁽ᵀ⁾/∂s⁽ᵀ⁻ᵈ⁾ for d = 0, 1, ..., D, in which s is h, or (h, c) of an LSTM.

    Attributes
    ----------
    best : ndarray of shape (B, D + 1)
        log₁₀ of the spectral norm: the gradient of the loss that is best kept. A lower bound if not `exact`.
    typical : ndarray of shape (B, D + 1)
        log₁₀ of the geometric mean of ‖uᵀ ∂h⁽ᵀ⁾/∂s⁽ᵀ⁻ᵈ⁾‖ over all directions u, of length 1. If not `exact`,
        over a sample of them.
    rate, spread : float
        The Lyapunov rate: the mean growth of ln best per step, in the middle half of the distances, and its
        standard deviation over sequences and four stretches of it. Of the sequences in which something is
        left in the end, as long as there is one; -inf where all is lost before.
    error : float
        The standard error of `rate`.
    slopes, matrix : float or None
        For an RNN, the factors per step by which φ′ and W_h change a gradient: geometric means over the
        directions that are carried, of which none is special, and the steps where one is left. If nothing
        gets lost, their product is that of the whole step. None for W_h if φ′ leaves nothing to it. Of the
        same sequences as `rate`.
    exact : bool
        Whether all directions were carried.
    """

    best: np.ndarray
    typical: np.ndarray
    rate: float
    spread: float
    error: float
    slopes: float | None
    matrix: float | None
    exact: bool


@refuse_overflow
def growth(network, state, rng) -> Growth:
    """Measure how a gradient of the last hidden state grows, in the states that `forward` returned.

    Time grows with T · B · min(H, 64) · (parameters), memory with T · B · H + B · min(H, 64)².
    """
    steps = KINDS[type(network)](network, state)
    B, H, T = steps.B, steps.H, steps.T
    exact = H <= EXACT
    # In general position: none is 0 by itself.
    rows = _orthonormal(rng.normal(size=(B, H if exact else SAMPLE, H)))
    norms, typical, factors = _carry(steps, rows, T, exact)
    if not exact:
        for distance in sorted({T, *(2**k for k in range(T.bit_length() - 1))}):
            # Randomized range finder (Halko et al. 2011): what random directions become in so many steps
            # spans nearly all that the product stretches most.
            columns = rng.normal(size=(B, FOUND, steps.size))
            for t in range(T - distance, T):
                columns = _orthonormal(steps.ahead(columns, t))
            found, _, _ = _carry(steps, _orthonormal(columns[..., :H]), distance, False)
            norms[:, : distance + 1] = np.maximum(norms[:, : distance + 1], found)
        typical = np.minimum(typical, norms)
    rate, spread, error = _rate(norms * np.log(10))
    return Growth(norms, typical, rate, spread, error, *factors, exact)


def _carry(steps, rows, distance, exact):
    """Return log₁₀ of the norms and the means over directions at each distance, and the factors per step.

    The rows, directions in the last hidden state, are carried with the logarithm of a scale, for otherwise
    the product leaves the range of numbers. What rounding takes from its small singular values changes
    neither the largest nor the mean over directions, in which the large ones drown them.
    """
    B, m = rows.shape[:2]
    Y, scale = np.zeros((B, m, steps.size)), np.zeros(B)
    Y[..., : steps.H] = rows
    norms, typical = np.zeros((2, B, distance + 1))
    factors, counts = np.zeros((2, 2, B))
    for d in range(1, distance + 1):
        before = Y
        Y, middle = steps.back(before, steps.T - d)
        check_overflow(**{"a product of step Jacobians": Y})
        if steps.splits:
            sizes = [np.log(np.linalg.norm(part, axis=-1)) for part in (before, middle, Y)]
            logarithms = np.diff(sizes, axis=0)
            kept = ~np.isnan(logarithms)  # what was 0 before has no factor
            factors += np.where(kept, logarithms, 0.0).sum(axis=-1)
            counts += kept.sum(axis=-1)
        largest = abs(Y).max(axis=(-2, -1))
        scale = scale + np.log(largest)
        Y = np.where(largest[:, None, None] > 0, Y / largest[:, None, None], 0.0)
        squares = np.maximum(np.linalg.eigvalsh(Y @ np.swapaxes(Y, -1, -2)), 0)
        norms[:, d] = scale + np.log(squares[:, -1]) / 2
        if exact:
            typical[:, d] = scale + _mean_log(squares) / 2
        else:
            typical[:, d] = scale + np.log(np.sum(Y * Y, axis=-1)).mean(axis=-1) / 2
    left = np.isfinite(norms[:, -1])  # a sequence in which all is lost would make the means 0
    factors, counts = (n[:, left | ~left.any()].sum(axis=-1) for n in (factors, counts))
    factors = [float(np.exp(f / n)) if n else None for f, n in zip(factors, counts, strict=True)]
    return norms / np.log(10), np.minimum(typical, norms) / np.log(10), factors


def _mean_log(squares):
    """Return the mean of ln Σ s uᵢ² over all directions u, uniform on the sphere, for each row of numbers s.

    With g normal, ln Σ s gᵢ² = ∫ (e⁻ʸ - e^(-y Σ s gᵢ²)) dy/y by Frullani, and the mean of the second term is
    the product of (1 + 2 s y)^(-½). The same integral with s = 1 is the length of g. By y = eᵛ it becomes one
    of a smooth function, for which the trapezoidal rule is exact to 1e-8 in steps of a half. Of squares that
    are all 0 it is no more than finite: what they are scaled by is 0.
    """
    y = np.exp(np.arange(-30.0, 60.0, 0.5))

    def integral(s):
        products = np.exp(-0.5 * np.sum(np.log1p(2 * s[..., None] * y), axis=-2))
        return 0.5 * np.sum(np.exp(-y) - products, axis=-1)

    return integral(squares) - integral(np.ones(squares.shape[-1]))


def _orthonormal(rows):
    return np.swapaxes(np.linalg.qr(np.swapaxes(rows, -1, -2))[0], -1, -2)


def _rate(norms):
    """Return mean, standard deviation and standard error of the growth per step of log norms.

    In the middle half of the distances: in the first quarter gradients turn to the direction that grows, in
    the last the states leave the initial one. Of the sequences in which something is left in the end, or, if
    there is none, at the end of that half.
    """
    D = norms.shape[1] - 1
    ends = np.unique(np.linspace(D // 4, D - D // 4, 5).astype(int))
    for end in (D, ends[-1]):
        left = norms[np.isfinite(norms[:, end])]
        if len(left):
            break
    rates = np.diff(left[:, ends]) / np.diff(ends) if len(ends) > 1 else left[:, -1:]
    rates = rates[np.isfinite(rates)]
    if not rates.size:
        return -np.inf, 0.0, 0.0
    spread = rates.std(ddof=1) if rates.size > 1 else 0.0
    return float(rates.mean()), float(spread), float(spread / rates.size**0.5)


class _Steps:
    """The step Jacobians of a network as maps, in float64: `back` of rows, and `ahead` of tangents."""

    splits = False

    def __init__(self, network, h):
        self.T, self.B, self.H = h.shape[0] - 1, *h.shape[1:]
        self.size = self.H
        self.network = copy(network)
        self.network.W_h = network.W_h.astype(np.float64)
        self.W_h_T = np.ascontiguousarray(self.network.W_h.T)

    def product(self, tangents):
        """Return the tangents times W_h: one product of matrices for all sequences."""
        return (tangents.reshape(-1, self.H) @ self.W_h_T).reshape(*tangents.shape[:2], -1)


class _RNNSteps(_Steps):
    splits = True

    def __init__(self, network, h):
        super().__init__(network, h)
        self.slope = network.activation.derivative_from_output(h[1:].astype(np.float64))[:, :, None]

    def back(self, rows, t):
        return self.network._step_back(rows, self.slope[t]), rows * self.slope[t]

    def ahead(self, tangents, t):
        return self.product(tangents) * self.slope[t]


class _LSTMSteps(_Steps):
    def __init__(self, network, state):
        super().__init__(network, state.h)
        self.size = 2 * self.H
        state = LSTMState(*(part.astype(np.float64) for part in (state.h, state.c, state.gates)))
        self.by_z = np.empty((self.T, self.B, 4, self.H))
        self.h_by_c = network._local_derivatives(state, slice(self.T), out=self.by_z)[:, :, None]
        self.f = state.f[:, :, None]

    def back(self, rows, t):
        return self.network._step_back(rows, self.h_by_c[t], self.by_z[t][:, None], self.f[t]), None

    def ahead(self, tangents, t):
        dz = self.product(tangents[..., : self.H])
        dz = dz.reshape(*dz.shape[:2], 4, self.H) * self.by_z[t][:, None]
        dc = tangents[..., self.H :] * self.f[t] + dz[..., :3, :].sum(axis=-2)
        return np.concatenate([dz[..., 3, :] + dc * self.h_by_c[t], dc], axis=-1)


class _GRUSteps(_Steps):
    def __init__(self, network, state):
        super().__init__(network, state.h)
        state = type(state)(
            *(part.astype(np.float64) for part in (state.h, state.gates, state.n, state.recurrent))
        )
        self.by_a, by_n = np.empty((self.T, self.B, 3, self.H)), np.empty((self.T, self.B, self.H))
        network._local_derivatives(state, slice(self.T), self.by_a, by_n)
        self.z = state.z[:, :, None]

    def back(self, rows, t):
        return self.network._step_back(rows, self.by_a[t][:, None], self.z[t]), None

    def ahead(self, tangents, t):
        da = self.product(tangents)
        da = da.reshape(*da.shape[:2], 3, self.H) * self.by_a[t][:, None]
        return da.sum(axis=-2) + tangents * self.z[t]


KINDS = {RNN: _RNNSteps, LSTM: _LSTMSteps, GRU: _GRUSteps}


@refuse_overflow
def growth_of_inputs(network, x, state, rng) -> Growth:
    """The same for a network that only has `backward`: the gradient for x⁽ᵀ⁻ᵈ⁾, against that for x⁽ᵀ⁾.

    One `backward` for each direction in the last state; of more than 64 units, a sample of directions.
    """
    T, B, _ = x.shape
    H = network.hidden(state).shape[-1]
    exact = H <= EXACT
    rows = np.eye(H) if exact else _orthonormal(rng.normal(size=(SAMPLE, H)))
    dtype = network.hidden(state).dtype
    by_x = np.empty((T, B, len(rows), x.shape[-1]))
    for number, row in enumerate(rows):
        dx = network.backward(x, state, np.tile(row, (B, 1)).astype(dtype)).x
        check_array("backward(x, state, dh).x", dx, None, x.shape)
        by_x[::-1, :, number] = dx
    s = np.linalg.svd(by_x, compute_uv=False)
    norms = np.log(s[..., 0])
    if exact:
        largest = np.where(s[..., :1] > 0, s[..., :1], 1.0)
        squares = np.zeros((T, B, H))
        squares[..., : s.shape[-1]] = (s / largest) ** 2
        typical = norms + _mean_log(squares) / 2
    else:
        typical = np.log(np.linalg.norm(by_x, axis=-1)).mean(axis=-1)
    norms, typical = ((v - v[0]).T for v in (norms, typical))
    lost = np.flatnonzero(np.isposinf(norms).any(axis=1))
    if lost.size:
        raise ValueError(
            f"backward(x, state, dh).x is 0 at the last step of sequence {lost[0]}, and not before: there is "
            "nothing to compare earlier steps with, so give x without what stands after the end"
        )
    norms, typical = (np.where(np.isnan(v), -np.inf, v) for v in (norms, typical))  # of 0, against 0
    rate, spread, error = _rate(norms)
    return Growth(norms / np.log(10), typical / np.log(10), rate, spread, error, None, None, exact)
