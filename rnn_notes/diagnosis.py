"""From a network that does not train to a cause: what its weights do to a gradient, measured and named."""

from collections.abc import Mapping
from dataclasses import replace
from math import log

import numpy as np

from rnn_notes._checks import NotFiniteError, check_array, check_finite, check_kind, check_overflow, shown
from rnn_notes._findings import THOUSANDTH, bounded, merged, of_gradients, of_weights
from rnn_notes._growth import EXACT, KINDS, MOST, growth, growth_of_inputs
from rnn_notes._weights import as_array, read
from rnn_notes.gru import GRU
from rnn_notes.lstm import LSTM
from rnn_notes.report import Block, Finding, Measurement, Report
from rnn_notes.rnn import RNN
from rnn_notes.spectrum import eigenvalues, spectral_norm

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
        it, 100 steps of four sequences are drawn, always the same, of three kinds: one normal number per step
        and zeros, ten numbers, and one-hot vectors. The verdict is that of the worst.
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
    found = read(network)
    rng = np.random.default_rng(0)
    notes, findings, measurements = found.notes, [], []
    blocks = [block for cell in found.cells for block in _blocks(cell)]
    if loss is not None and not callable(loss):
        raise TypeError(f"loss must be a function of the hidden states, got {shown(loss)}")
    if loss is not None and x is None:
        raise ValueError("loss must be measured on x, got no x")
    training = {} if history is None else _training(history, findings)
    if training.get("clip rate", 0) > 0.9:
        notes.append(
            "nearly all updates were clipped: all steps have one length, the rate times the threshold"
        )
    for cell in found.cells:
        findings += of_weights(cell)
        if cell.problem:
            notes.append(cell.problem)
    loss_gradient, complete = {}, found.complete
    groups = [
        [cell for cell in found.cells if cell.group == group]
        for group in dict.fromkeys(cell.group for cell in found.cells)
    ]
    drawn = x is None
    x = None if drawn else _check_input(x, groups, notes)
    for cells in groups:
        if cells[0].network is None:
            notes.append(f"{cells[0].where} could not be run, nor the layers above it")
            complete = False
            continue
        for kind, data in _inputs(cells, x, rng, notes):
            states = _run(cells, kind, data, rng, findings, measurements, notes)
            complete &= states is not None
            if states is not None and loss is not None:
                loss_gradient |= _loss(loss, states, findings)
    findings = merged(findings)
    if drawn:
        notes.append("measured on drawn input, of three kinds; the answer depends on it, so give x, your own")
    return Report(
        tuple(findings),
        tuple(measurements),
        tuple(blocks),
        tuple(dict.fromkeys(notes)),
        training,
        loss_gradient,
        complete,
    )


# What is run.


def _inputs(cells, x, rng, notes):
    """Yield the kinds of input for one stack, as (name, x)."""
    width, dtype = _width(cells), _dtype(cells)
    if x is not None and width in (None, x.shape[-1]):
        if cells[0].batch_first:
            x = np.swapaxes(x, 0, 1)
            notes.append("the network takes its batch first, so x is read as (B, T, I)")
        elif len(x) < min(10, x.shape[1]):
            T, B, _ = x.shape
            notes.append(
                f"x is read as {T} steps of {B} sequences; for {T} sequences of {B} steps, swap its axes"
            )
        if x.dtype != dtype:
            notes.append(f"x has dtype {x.dtype}, and was converted to that of the weights, {dtype}")
        with np.errstate(over="ignore"):
            yield "x", np.ascontiguousarray(x, dtype)
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
    for kind, used in (("one number", 1), ("ten numbers", min(10, width))):
        if kind == "one number" or used > 1:
            data = np.zeros(shape, dtype)
            data[..., :used] = rng.normal(size=(*shape[:2], used))
            yield kind, data
    yield "one-hot", np.eye(width, dtype=dtype)[rng.integers(width, size=shape[:2])]


def _width(cells):
    """Return I of a stack, or None if it is not known."""
    W_x = cells[0].arrays.get("W_x")
    return W_x.shape[1] if cells[0].gates and W_x is not None and W_x.ndim == 2 else None


def _dtype(cells):
    return next((np.asarray(array).dtype for array in cells[0].arrays.values()), np.dtype(np.float64))


def _check_input(x, groups, notes):
    """Return x as an array that at least one stack can read."""
    x = as_array("x", x, notes)
    check_kind("x", x, "fiub", "numbers")
    widths = [_width(cells) for cells in groups]
    fits = x.ndim == 3 and 0 not in x.shape and any(width in (None, x.shape[-1]) for width in widths)
    if not fits:
        sizes = " or ".join(str(width or "I") for width in dict.fromkeys(widths))
        raise ValueError(f"x must have shape (T, B, {sizes}), time, batch, feature, got {x.shape}")
    check_finite("x", x)
    return x


def _run(cells, kind, data, rng, findings, measurements, notes):
    """Run a stack on data, measure it layer by layer; return the top layer's (cell, x, state), or None."""
    top = []
    for layer in dict.fromkeys(cell.layer for cell in cells):
        top = []
        for cell in (cell for cell in cells if cell.layer == layer):
            width = _width([cell])
            if layer != cells[0].layer and width not in (None, data.shape[-1]):
                notes.append(
                    f"{cell.where} reads {width} numbers, and the layer below has {data.shape[-1]}: "
                    "what is between them is not given, so it was measured on normal numbers"
                )
                data = rng.normal(size=(*data.shape[:2], width))
            if cell.network is None:
                notes.append(f"{cell.where} could not be run, nor the layers above it")
                return None
            x = np.ascontiguousarray(data[::-1]) if cell.reverse else data
            try:
                x = x.astype(_dtype([cell]))
                state = cell.network.forward(x)
                h = cell.network.hidden(state)
                check_overflow(h=h)
                measured = _measure(cell, x, state, h, kind, rng, notes)
            except NotFiniteError as error:
                findings.append(_overflow(cell, error, kind))
                notes.append(f"{cell.where} overflows, so the layers above it were not run")
                return None
            except ValueError as error:
                raise ValueError(f"{cell.where}: {error}") from None
            top.append((cell, x, state, h))
            measurements.append(measured)
            findings += of_gradients(cell, measured, x, h)
        data = np.concatenate([h[:0:-1] if cell.reverse else h[1:] for cell, _, _, h in top], axis=-1)
    return top


def _overflow(cell, error, kind):
    action = "scale the input and W_h down, until all stays finite; in training, clip by norm"
    proof = "diagnose again: states and gradients must be finite"
    return Finding("not finite", cell.where, str(error), action, proof, (kind,))


def _measure(cell, x, state, h, kind, rng, notes):
    network = cell.network
    slope, low = _slopes(network, state, h)
    if type(network) in KINDS:
        sequences = SEQUENCES if h.shape[-1] <= EXACT else 2
        if len(x) > MOST:
            notes.append(f"gradients are measured over the last {MOST} steps of {len(x)}")
        if kind == "x" and x.shape[1] > sequences:
            notes.append(f"gradients are measured in the first {sequences} sequences of {x.shape[1]}")
        grown = growth(network, _last(state, MOST, sequences), rng)
    else:
        grown = growth_of_inputs(network, x, state, rng)
    gates, memory = _gates(network, state)
    best, typical = np.median(grown.best, axis=0), np.median(grown.typical, axis=0)
    below = np.flatnonzero(typical <= -THOUSANDTH)
    return Measurement(
        where=cell.where,
        input=kind,
        best=best,
        typical=typical,
        saturated=float(np.mean(slope < 0.1)) if slope is not None and bounded(network) else 0.0,
        dead=float(np.mean(low)) if low is not None else 0.0,
        gates=gates,
        memory=memory,
        steps=int(below[0]) if below.size else None,
        **{name: getattr(grown, name) for name in ("exact", "rate", "spread", "error", "slopes", "matrix")},
    )


def _last(state, steps, sequences):
    """Return the last steps of the first sequences of a state."""
    if isinstance(state, np.ndarray):
        return state[-steps - 1 :, :sequences]
    start = max(0, len(state.gates) - steps)
    return replace(state, **{name: part[start:, :sequences] for name, part in vars(state).items()})


def _slopes(network, state, h):
    """Return φ′ over its largest value for each unit and step, and which units are dead, if there is a φ."""
    h = h[1:].astype(np.float64)
    if type(network) is RNN:
        slope = network.activation.derivative_from_output(h)
        return abs(slope) / network.activation.gamma, ((slope == 0) & (h == 0)).all(axis=(0, 1))
    if type(network) is LSTM:
        return 1 - np.tanh(state.c[1:].astype(np.float64)) ** 2, None
    if type(network) is GRU:
        return 1 - state.n.astype(np.float64) ** 2, None
    return None, None


def _gates(network, state):
    """Return the numbers of each gate, and the memory that they leave."""
    letters, keeps = {LSTM: ("ifo", "f"), GRU: ("rz", "z")}.get(type(network), ("", ""))
    gates = {}
    for letter in letters:
        gate = getattr(state, letter)
        gates[letter] = tuple(float(np.mean(part)) for part in (gate.astype(float), gate < 0.01, gate > 0.99))
    if not keeps:
        return gates, None
    with np.errstate(divide="ignore"):
        loss = -np.log(getattr(state, keeps).astype(float)).mean(axis=(0, 1))  # per step, of each unit
        return gates, float(np.median(log(1000) / loss))


def _blocks(cell):
    """Return the recurrent matrices of a cell, one for each gate."""
    if not cell.gates:
        return []
    letters = {1: [""], 3: ["r", "z", "n"], 4: ["i", "f", "g", "o"]}[cell.gates]
    blocks = []
    for letter, W in zip(letters, np.split(cell.arrays["W_h"], cell.gates), strict=True):
        name = f"W_h{letter}"
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
            with np.errstate(over="ignore"):
                numbers = [float(largest * number) for number in (values[0], spectral_norm(W), departure)]
        blocks.append(Block(cell.where, name, *numbers))
    return blocks


def _loss(loss, top, findings):
    """Return the norms of the loss's gradient by step, for each direction of the top layer."""
    h = np.concatenate([h[:0:-1] if cell.reverse else h[1:] for cell, _, _, h in top], axis=-1)
    returned = loss(h)
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise TypeError(f"loss must return the loss and its gradient for h, got {type(returned).__name__}")
    value, dh = returned
    check_array("the gradient that loss returns", dh, h.dtype, h.shape, h.shape[1:], finite=False)
    action = "look at the loss: its arguments, its logarithms and divisions"
    if not (np.isfinite(value) and np.isfinite(dh).all()):
        proof = "loss(h) must return finite numbers"
        what = f"the loss is {value}, or its gradient is not finite"
        findings.append(Finding("not finite", "loss", what, action, proof, ("x",)))
        return {}
    if not dh.any():
        what = "the gradient of the loss for the hidden states is 0, so nothing goes back"
        findings.append(
            Finding("vanishing", "loss", what, action, "loss(h) must return a gradient that is not 0", ("x",))
        )
    if dh.ndim == 2:
        dh = np.concatenate([np.zeros_like(h[:-1]), dh[None]])
    norms, start = {}, 0
    for cell, x, state, own in top:
        part = dh[..., start : start + own.shape[-1]]
        start += own.shape[-1]
        part = np.ascontiguousarray(part[::-1] if cell.reverse else part)
        try:
            dx = cell.network.backward(x, state, part).x.astype(np.float64)
        except NotFiniteError as error:
            findings.append(_overflow(cell, error, "x"))
            continue
        by_step = np.sqrt(np.sum(dx * dx, axis=(1, 2)))
        norms[cell.where] = by_step[::-1] if cell.reverse else by_step
    return norms


def _training(history, findings):
    """Return the numbers of a history of gradient norms, and add what they show to the findings."""
    norms = getattr(history, "gradient_norm", history)
    if isinstance(norms, str | bytes | Mapping):
        raise TypeError(
            f"history must be a History or the norms of the gradients, got {type(history).__name__}"
        )
    try:
        norms = np.asarray(norms, float)
    except (TypeError, ValueError):
        raise TypeError(
            f"history must be a History or the norms of the gradients, got {shown(history)}"
        ) from None
    if norms.ndim != 1 or not norms.size or np.any(norms < 0):
        raise ValueError(f"history must have one norm of at least 0 for each update, got shape {norms.shape}")
    finite = norms[np.isfinite(norms)]

    def see(name, what, action, proof):
        findings.append(Finding(name, "training", what, action, proof))

    if finite.size < norms.size:
        first = int(np.flatnonzero(~np.isfinite(norms))[0])
        see(
            "not finite",
            f"the gradient's norm is {norms[first]} at update {first}",
            "clip by norm from the start, or halve the learning rate",
            "the norms of the updates before must rise",
        )
    if not finite.size:
        return {}
    average, largest = float(finite.mean()), float(finite.max())
    numbers = {"average": average, "largest": largest, "threshold": average / 2}
    clipped = np.asarray(getattr(history, "clipped", []))
    if clipped.size:
        numbers["clip rate"] = float(clipped.mean())
    middle = float(np.median(finite))
    if middle > 0 and largest >= 1000 * middle:
        at = int(np.nanargmax(np.where(np.isfinite(norms), norms, -1)))
        see(
            "exploding",
            f"the gradient's norm reaches {largest:.2g} at update {at}, {largest / middle:.0f} times its "
            "median",
            f"clip by norm, with a threshold of {average / 2:.2g} to begin with",
            "the loss must no longer jump after the largest norms",
        )
    if middle == 0:
        see(
            "vanishing",
            f"the gradient's norm is 0 at {np.mean(finite == 0):.0%} of the updates",
            "look for a detach, a loss that is flat, or dead units",
            "the norm must be above 0",
        )
    return numbers
