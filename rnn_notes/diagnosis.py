"""From a network that does not train to a cause: what its weights do to a gradient, measured and named."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import log

import numpy as np

from rnn_notes._checks import (
    NotFiniteError,
    blame,
    check_array,
    check_finite,
    check_kind,
    check_loss,
    check_overflow,
    refuse_overflow,
    shown,
)
from rnn_notes._findings import (
    SPIKE,
    THOUSANDTH,
    bounded,
    merged,
    of_gradients,
    of_history,
    of_weights,
    overflow,
    spiked,
    usual,
)
from rnn_notes._growth import EXACT, KINDS, MOST, growth, growth_of_inputs
from rnn_notes._weights import as_array, read
from rnn_notes.gru import GRU
from rnn_notes.lstm import LSTM
from rnn_notes.report import CLIPPED, Block, Finding, Measurement, Report
from rnn_notes.rnn import RNN
from rnn_notes.spectrum import eigenvalues, spectral_norm

# Of ‖W‖: a departure is the root of a difference, in which rounding of 1e-16 becomes 1e-8.
ROUNDING = 1e-7
STEPS, SEQUENCES = 100, 4  # of the input that is drawn if none is given; of a given one, so many are carried


def diagnose(network, x=None, *, loss=None, history=None) -> Report:
    """Measure what a recurrent network does to its gradients, and name the trouble.

    Every layer and direction is run on the data that reaches it, and measured by itself: a gradient starts as
    any direction in the last hidden state and goes back to earlier states. The verdict holds for these
    weights, these inputs and so many steps. It says nothing about learning rate, data or loss.

    Parameters
    ----------
    network : network, module, dict, list or path
        What to diagnose: an `RNN`, `LSTM` or `GRU`, a list of these as layers, or anything with the methods
        of `Network`. A PyTorch module or its `state_dict`, of one or more recurrent layers. A Keras model,
        the list that its `get_weights` returns, or a dict by the names of its weights. A dict with `W_x`,
        `W_h` and `b`, of several layers ``layer0.W_x`` and so on. A file ``.npz`` or ``.safetensors`` with
        such names; a file ``.pt`` if PyTorch is installed, which reads it with ``weights_only=True``. No
        pickle is opened.
    x : ndarray of shape (T, B, I), optional
        Input. For a Keras model, and a PyTorch module with ``batch_first=True``, of shape (B, T, I). Without
        it, 100 steps of four sequences are drawn, always the same, of up to three kinds: one normal number
        per step and zeros, ten numbers (all, if there are fewer), and one-hot vectors. The verdict is that of
        the worst.
    loss : callable, optional
        ``loss(h)`` takes the hidden states of the top layer, of shape (T, B, H), both directions side by
        side, and returns the loss and its gradient for `h`, of the same shape, or of shape (B, H) for the
        last state alone. Needs `x`.
    history : History, or sequence of float, optional
        What `fit` returned, or the norms of all gradients together at each update, before clipping.

    Returns
    -------
    Report
        With `verdict`, `findings`, `measurements`; `print` shows it.

    Raises
    ------
    TypeError, ValueError
        If there is no recurrent network in it; the message says what was found.

    References
    ----------
    G. Benettin, L. Galgani, A. Giorgilli, J.-M. Strelcyn, "Lyapunov characteristic exponents for smooth
    dynamical systems", Meccanica 15:9-20, 1980, https://doi.org/10.1007/BF02128236.

    N. Halko, P.-G. Martinsson, J. A. Tropp, "Finding structure with randomness", SIAM Review 53(2):217-288,
    2011, https://doi.org/10.1137/090771806: the best direction of more than 64 units.

    Examples
    --------
    PyTorch's default start of a tanh network: uniform, ρ near 1/√3.

    >>> import numpy as np
    >>> from rnn_notes import diagnose, framework_default
    >>> weights = framework_default("pytorch", 3, 32, np.random.default_rng(0))
    >>> report = diagnose(weights)
    >>> report.verdict
    'vanishing'
    >>> report.measurements[0].steps
    12
    """
    if loss is not None and not callable(loss):
        raise TypeError(f"loss must be a function of the hidden states, got {shown(loss)}")
    if loss is not None and x is None:
        raise ValueError("loss must be measured on x, got no x")
    found = read(network)
    seen = _Seen(found.notes, found.complete)
    training = {} if history is None else seen.training(history)
    for cell in found.cells:
        seen.findings += of_weights(cell)
        seen.notes += [cell.problem] if cell.problem else []
    stacks = [
        [cell for cell in found.cells if cell.group == group]
        for group in dict.fromkeys(cell.group for cell in found.cells)
    ]
    given = None if x is None else _check_input(x, stacks, seen.notes)
    for stack in stacks:
        cells = seen.runnable(stack)
        for kind, data in _inputs(cells, given, seen.notes) if cells else ():
            seen.run(cells, kind, data, loss if kind == "x" and cells == stack else None)
    if len(stacks) > 1:
        names = ", ".join(stack[0].group.rstrip("./_ ") or stack[0].where for stack in stacks)
        seen.notes.append(f"weights do not say what feeds what, so each by itself reads an input: {names}")
    if x is None and seen.measurements:
        kinds = ", ".join(dict.fromkeys(m.input for m in seen.measurements))
        seen.notes.append(f"measured on drawn input ({kinds}); the answer depends on it, so give x, your own")
    if loss is not None and not seen.has_loss:
        seen.notes.append("the loss was not measured: x does not get to the top layer")
    report = Report(
        tuple(merged(seen.findings)),
        tuple(seen.measurements),
        tuple(block for cell in found.cells for block in _blocks(cell)),
        tuple(dict.fromkeys(seen.notes)),
        training,
        seen.loss_gradient,
        seen.complete,
    )
    if report.verdict != "healthy":
        return report
    arrives = (
        "a gradient that arrives is not yet information that arrives: those of single sequences can have "
        "nothing in common"
    )
    return replace(report, notes=(*report.notes, arrives))


@dataclass
class _Seen:
    """What `diagnose` has seen so far."""

    notes: list
    complete: bool
    findings: list = field(default_factory=list)
    measurements: list = field(default_factory=list)
    loss_gradient: dict = field(default_factory=dict)
    has_loss: bool = False
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def training(self, history):
        """Return the numbers of a history of gradient norms."""
        norms, clipped = _check_history(history)
        finite, numbers = norms[np.isfinite(norms)], {}
        if finite.size:
            with np.errstate(over="ignore"):
                before = usual(finite)
                kept = (finite < SPIKE * before) | (before == 0)
                kept[spiked(finite)] = False
                numbers = {
                    "average": finite.mean(),
                    "largest": finite.max(),
                    "threshold": finite[kept].mean() / 2,
                }
        outcome = getattr(history, "outcome", "")
        self.findings += of_history(norms, numbers.get("threshold"), outcome, clipped)
        if clipped.size:
            numbers["clip rate"] = clipped.mean()
            if clipped.mean() > CLIPPED:
                self.notes.append(
                    "nearly all updates were clipped: of plain SGD such steps have one length, the rate "
                    "times the threshold; of Adam, or with momentum, they have not"
                )
        return {name: float(number) for name, number in numbers.items()}

    def runnable(self, stack):
        """Return the cells of a stack that data can reach, and that can be run."""
        missing = [cell for cell in stack if cell.network is None]
        if missing:
            self._stop(missing[0], "could not be run", stack)
            lowest = missing[0].layer
            return [c for c in stack if c.layer <= lowest and c not in missing]
        return stack

    def _stop(self, cell, why, stack):
        self.complete = False
        above = any(other.layer > cell.layer for other in stack)
        self.notes.append(f"{cell.where} {why}" + ", so nothing above it was run" * above)

    def run(self, cells, kind, data, loss):
        """Run a stack on data of shape (T, B, I), layer by layer, and measure each."""
        for layer in dict.fromkeys(cell.layer for cell in cells):
            states, row = [], [cell for cell in cells if cell.layer == layer]
            for cell in row:
                width = _width(cell)
                if layer != cells[0].layer and width not in (None, data.shape[-1]):
                    self.notes.append(
                        f"{cell.where} reads {width} numbers, and the layer below has {data.shape[-1]}: "
                        "what is between them is not given, so it was measured on normal numbers"
                    )
                    data = self.rng.normal(size=(*data.shape[:2], width))
                try:
                    x = _converted("the output of the layer below", data, _dtype(cell))
                    x = np.ascontiguousarray(_in_time(cell, x))
                    states.append((cell, x, *self._measure(cell, x, kind)))
                except NotFiniteError as error:
                    self.findings.append(overflow(cell, error, kind))
                    self._stop(cell, "overflows", cells)
            if len(states) < len(row):
                return
            data = np.concatenate([_in_time(cell, h[1:]) for cell, _, _, h in states], axis=-1)
        if loss is not None:
            self._measure_loss(loss, states, data)

    def _measure(self, cell, x, kind):
        """Return the state and the hidden states of a cell, after they are measured."""
        network = cell.network
        with blame(cell.where):
            state = network.forward(x)
            h = network.hidden(state)
            check_array("hidden(state)", h, None, (len(x) + 1, x.shape[1], "H"), finite=False)
            check_overflow(h=h)
            if type(network) in KINDS:
                sequences = SEQUENCES if h.shape[-1] <= EXACT else 2
                if len(x) > MOST:
                    self.notes.append(f"gradients are measured over the last {MOST} steps of {len(x)}")
                if kind == "x" and x.shape[1] > sequences:
                    self.notes.append(
                        f"gradients are measured in the first {sequences} sequences of {x.shape[1]}"
                    )
                grown = growth(network, _last(state, MOST, sequences), self.rng)
            else:
                grown = growth_of_inputs(network, x, state, self.rng)
        if len(x) < STEPS:
            self.notes.append(f"x has {len(x)} steps: what vanishes or explodes over more is not seen")
        lost = np.isneginf(grown.best[:, -1])
        if lost.any() and not lost.all():
            on = "" if kind == "x" else f", on {kind}"
            split = "" if grown.slopes is None else ", and what φ′ leaves and W_h gives,"
            self.notes.append(
                f"{cell.where}{on}: in {lost.sum()} of {lost.size} sequences nothing is left of a gradient "
                f"after {len(grown.best[0]) - 1} steps; the Lyapunov rate{split} is of the others"
            )
        slope, dead = _slopes(network, state, h)
        gates, memory = _gates(network, state)
        best, typical = np.median(grown.best, axis=0), np.median(grown.typical, axis=0)
        below = np.flatnonzero(typical <= -THOUSANDTH)
        measured = Measurement(
            where=cell.where,
            input=kind,
            best=best,
            typical=typical,
            saturated=0.0 if slope is None else float(np.mean(slope < 0.1)),
            dead=0.0 if dead is None else float(np.mean(dead)),
            gates=gates,
            memory=memory,
            steps=int(below[0]) if below.size else None,
            **{
                name: getattr(grown, name)
                for name in ("exact", "rate", "spread", "error", "slopes", "matrix")
            },
        )
        self.measurements.append(measured)
        self.findings += of_gradients(cell, measured, x, h)
        return state, h

    def _measure_loss(self, loss, states, h):
        """Take the gradient of the loss back through each direction of the top layer."""
        self.has_loss = True
        value, dh = check_loss("loss", loss(h))
        check_array("the gradient that loss returns", dh, h.dtype, h.shape, h.shape[1:], finite=False)

        def see(name, what, proof):
            action = "look at the loss: its arguments, its logarithms and divisions"
            self.findings.append(Finding(name, "loss", what, action, proof, ("x",)))

        if not (abs(value) < np.inf and np.isfinite(dh).all()):
            what = f"the loss is {value:.3g}, or its gradient is not finite"
            return see("not finite", what, "loss(h) must return finite numbers")
        if not dh.any():
            what = "the gradient of the loss for the hidden states is 0, so nothing goes back"
            see("vanishing", what, "loss(h) must return a gradient that is not 0")
        if dh.ndim == 2:
            dh = np.concatenate([np.zeros_like(h[:-1]), dh[None]])
        ends = np.cumsum([own.shape[-1] for *_, own in states])[:-1]
        for (cell, x, state, _), part in zip(states, np.split(dh, ends, axis=-1), strict=True):
            try:
                with blame(cell.where):
                    dx = cell.network.backward(x, state, np.ascontiguousarray(_in_time(cell, part))).x
            except NotFiniteError as error:
                self.findings.append(overflow(cell, error, "x"))
            else:
                norms = np.linalg.norm(dx.astype(np.float64), axis=(1, 2))
                self.loss_gradient[cell.where] = _in_time(cell, norms)
        return None


# What is run.


def _inputs(cells, x, notes):
    """Yield the kinds of input for one stack, as (name, x); what is drawn depends on its width alone."""
    rng = np.random.default_rng(0)
    width, dtype = _width(cells[0]), _dtype(cells[0])
    if x is not None and width in (None, x.shape[-1]):
        if cells[0].batch_first:
            x = np.swapaxes(x, 0, 1)
            notes.append("the network takes its batch first, so x is read as (B, T, I)")
        elif len(x) < x.shape[1]:
            T, B, _ = x.shape
            notes.append(
                f"x is read as {T} steps of {B} sequences; for {T} sequences of {B} steps, swap its axes"
            )
        if x.dtype != dtype:
            notes.append(f"x has dtype {x.dtype}, and was converted to that of the weights, {dtype}")
        wider = ", or give the weights in float64" if dtype == np.float32 else ""
        yield "x", _converted("x", x, dtype, f": scale x down{wider}")
        return
    if width is None:
        raise ValueError(
            "x must be given for a network of another class, got None: its input may have any size"
        )
    if x is not None:
        notes.append(
            f"{cells[0].where} reads {width} numbers, and x has {x.shape[-1]}: measured on drawn input"
        )
    shape = (STEPS, SEQUENCES, width)
    for kind, used in (("one number", 1), ("ten numbers" if width >= 10 else "all numbers", min(10, width))):
        if kind == "one number" or used > 1:
            data = np.zeros(shape, dtype)
            data[..., :used] = rng.normal(size=(*shape[:2], used))
            yield kind, data
    yield "one-hot", np.eye(width, dtype=dtype)[rng.integers(width, size=shape[:2])]


def _converted(name, x, dtype, what_to_do=""):
    """Return x in the type of the weights; raise if a finite number is beyond that."""
    with np.errstate(over="ignore"):
        converted = x.astype(dtype)
    beyond = np.argwhere(np.isinf(converted) & np.isfinite(x))
    if len(beyond):
        where = tuple(map(int, beyond[0]))
        raise NotFiniteError(
            f"{name} must have numbers within the range of {dtype}, the type of the weights, at most "
            f"{np.finfo(dtype).max:.2g} in size, got {x[where]!s} at index {where}{what_to_do}"
        )
    return converted


def _width(cell):
    """Return I of a cell, or None if it is not known."""
    W_x = cell.arrays.get("W_x")
    return W_x.shape[1] if cell.gates and W_x is not None and W_x.ndim == 2 else None


def _dtype(cell):
    return next((array.dtype for array in cell.arrays.values()), np.dtype(np.float64))


def _in_time(cell, steps):
    """Turn what a cell has for each step into the order of its input, or back."""
    return steps[::-1] if cell.reverse else steps


def _check_input(x, stacks, notes):
    """Return x as an array that at least one stack can read."""
    x = as_array("x", x, notes)
    check_kind("x", x, "fiub", "numbers")
    widths = [_width(cells[0]) for cells in stacks]
    fits = x.ndim == 3 and 0 not in x.shape and any(width in (None, x.shape[-1]) for width in widths)
    if not fits:
        orders = {False: ("(T, B, {})", "time, batch, feature"), True: ("(B, T, {})", "batch, time, feature")}
        expected = []
        for order in dict.fromkeys(cells[0].batch_first for cells in stacks):
            of = dict.fromkeys(_width(cells[0]) or "I" for cells in stacks if cells[0].batch_first == order)
            shape, names = orders[order]
            expected.append(f"{shape.format(' or '.join(map(str, of)))}, {names}")
        hint = ": give what reaches the recurrent layer, of tokens their embeddings" if x.ndim != 3 else ""
        raise ValueError(f"x must have shape {', or '.join(expected)}, got {x.shape}{hint}")
    check_finite("x", x)
    return x


def _check_history(history):
    """Return the norms of a history, and which updates were clipped, if it says so."""
    norms = getattr(history, "gradient_norm", history)
    try:
        if isinstance(norms, Mapping | set):
            raise TypeError
        norms = np.asarray(norms)
    except (TypeError, ValueError):
        norms = np.asarray(None)
    if norms.dtype.kind not in "fiu":
        got = shown(history) if len(shown(history)) < 60 else type(history).__name__
        raise TypeError(f"history must be a History or the norms of the gradients, got {got}")
    norms = norms.astype(float)
    diverged = getattr(history, "outcome", "") == "diverged"
    if norms.ndim != 1 or not (norms.size or diverged) or np.any(norms < 0):
        worst = f", the least {norms.min():.3g}" if norms.size else ""
        raise ValueError(
            f"history must have one norm of at least 0 for each update, got shape {norms.shape}{worst}"
        )
    clipped = np.asarray(getattr(history, "clipped", np.zeros(0, bool)))
    if clipped.dtype != bool or clipped.shape not in (norms.shape, (0,)):
        raise ValueError(
            f"history.clipped must be of bool, and of shape {norms.shape} as the norms, "
            f"got {clipped.dtype} and {clipped.shape}"
        )
    return norms, clipped


# What is measured.


def _last(state, steps, sequences):
    """Return the last steps of the first sequences of a state."""
    if isinstance(state, np.ndarray):
        return state[-steps - 1 :, :sequences]
    start = max(0, len(state.gates) - steps)
    return replace(state, **{name: part[start:, :sequences] for name, part in vars(state).items()})


def _slopes(network, state, h):
    """Return φ′ over its largest value if φ has limits, and which units are dead if it has none."""
    h = h[1:].astype(np.float64)
    if type(network) is RNN:
        slope = network.activation.derivative_from_output(h)
        if bounded(network):
            return abs(slope) / network.activation.gamma, None
        return None, ((slope == 0) & (h == 0)).all(axis=(0, 1))
    if type(network) is LSTM:
        return 1 - np.tanh(state.c[1:].astype(np.float64)) ** 2, None
    if type(network) is GRU:
        return 1 - state.n.astype(np.float64) ** 2, None
    return None, None


def _gates(network, state):
    """Return the numbers of each gate, and the memory that they leave."""
    letters, keeps = {LSTM: ("ifo", "f"), GRU: ("rz", "z")}.get(type(network), ("", ""))
    gates = {letter: getattr(state, letter).astype(np.float64) for letter in letters}
    numbers = {
        letter: tuple(float(np.mean(part)) for part in (gate, gate < 0.01, gate > 0.99))
        for letter, gate in gates.items()
    }
    if not keeps:
        return numbers, None
    with np.errstate(divide="ignore"):
        loss = abs(np.log(gates[keeps]).mean(axis=(0, 1)))  # per step, of each unit
        return numbers, float(np.median(log(1000) / loss))


@refuse_overflow
def _blocks(cell):
    """Return the recurrent matrices of a cell, one for each gate."""
    letters = {0: [], 1: [""], 3: ["r", "z", "n"], 4: ["i", "f", "g", "o"]}[cell.gates]
    blocks = []
    for letter, W in zip(letters, np.split(cell.arrays["W_h"], cell.gates) if letters else (), strict=True):
        W = np.ascontiguousarray(W, np.float64)
        largest = abs(W).max()
        if not np.isfinite(largest):
            numbers = [np.nan] * 3
        elif largest == 0:
            numbers = [0.0] * 3
        else:
            W = W / largest  # no square leaves the range
            values = abs(eigenvalues(W))
            # As henrici, without its eigenvalues once more.
            departure = max(np.sum(W * W) - np.sum(values**2), 0.0) ** 0.5
            if departure < ROUNDING * np.sum(W * W) ** 0.5:
                departure = 0.0
            numbers = [float(largest * number) for number in (values[0], spectral_norm(W), departure)]
        blocks.append(Block(cell.where, f"W_h{letter}", *numbers))
    return blocks
