"""From a measurement to what it shows: the rules of `diagnose`."""

from dataclasses import replace

import numpy as np

from rnn_notes._checks import refuse_overflow
from rnn_notes._growth import KINDS
from rnn_notes.gru import GRU
from rnn_notes.lstm import LSTM
from rnn_notes.report import NO_VERDICTS, VERDICTS, Finding, _power
from rnn_notes.rnn import RNN

# In log₁₀: less than this is left, and a gradient has vanished; more than its inverse, and it has exploded.
THOUSANDTH = 3.0
SPIKE = 1000  # times the median before: a gradient of such a norm is one of an explosion
LARGE = 10  # times the medians before and after: a step so much longer than others, and no longer phase


@refuse_overflow
def of_weights(cell):
    """Return what the weights show without being run."""
    found = []
    for name, array in cell.arrays.items():
        bad = np.argwhere(~np.isfinite(array))
        if len(bad):
            where = tuple(map(int, bad[0]))
            what = f"{name} has {len(bad)} of {array.size} entries not finite, "
            what += f"the first {array[where]} at {where}"
            action = (
                "go back to the last weights that are finite, and from there clip by norm or halve the rate"
            )
            proof = "the norm of the gradient at each update must rise before the first NaN"
            found.append(Finding("not finite", cell.where, what, action, proof))
    if cell.forget_biases:
        means = [float(np.mean(b)) for b in cell.forget_biases]
        if min(means) >= 0.5:
            what = f"two forget biases, of mean {means[0]:.3g} and {means[1]:.3g}, add up to {sum(means):.3g}"
            action = "set one of bias_ih and bias_hh, and the other to 0"
            proof = "the forget gate's mean must fall to σ of one"
            found.append(Finding("forget bias", cell.where, what, action, proof))
    return found


def overflow(cell, error, kind):
    """Return the finding that a state or a gradient has left the range of its type."""
    action = "scale the input and W_h down, until all stays finite; in training, clip by norm"
    proof = "diagnose again: states and gradients must be finite"
    return Finding("not finite", cell.where, str(error), action, proof, (kind,))


@refuse_overflow
def usual(norms):
    """Return the median norm before each update: of the first 1, 2, 4, ... updates, for those up to twice it.

    Of the norms before, for at the end of training all are small, and a start is no spike beside them. The
    norms at the start have none before, and are their own.
    """
    medians = norms.copy()
    for n in (2**k for k in range(len(norms).bit_length())):
        medians[n : 2 * n] = np.median(norms[:n])
    return medians


@refuse_overflow
def spiked(norms):
    """Return where norms are far above those around them: the median before, and that of the 16 after.

    What stays large from an update on is no spike. The first eight have too few before them, and of the last
    it is not known whether it stays.
    """
    high = (norms > 0) & (norms >= LARGE * usual(norms))
    high[:8] = high[-1:] = False
    return np.array(
        [n for n in np.flatnonzero(high) if norms[n] >= LARGE * np.median(norms[n + 1 : n + 17])], int
    )


@refuse_overflow
def of_history(norms, threshold, outcome, clipped):
    """Return what the norms of the gradients at each update show."""
    found, finite = [], norms[np.isfinite(norms)]

    def see(name, what, action, proof):
        found.append(Finding(name, "training", what, action, proof))

    if finite.size < norms.size or outcome == "diverged":
        first = len(norms) if finite.size == norms.size else int(np.argmin(np.isfinite(norms)))
        what = "training diverged" if first == len(norms) else f"the gradient's norm is {norms[first]}"
        see(
            "not finite",
            f"{what} at update {first}",
            "clip by norm from the start, or halve the learning rate",
            "the norms of the updates before must rise",
        )
    if not finite.size:
        return found
    middle, before, large = np.median(finite), usual(finite), spiked(finite)
    spikes = np.flatnonzero((before > 0) & (finite >= SPIKE * before))
    if spikes.size:
        at = spikes[np.argmax(finite[spikes])]
        update = np.flatnonzero(np.isfinite(norms))[at]
        see(
            "exploding",
            f"the gradient's norm reaches {finite[at]:.2g} at update {update}, "
            f"{finite[at] / before[at]:.2g} times the median of those before",
            f"clip by norm, with a threshold of {threshold:.2g} to begin with",
            "the loss must no longer jump after the largest norms",
        )
    elif large.size:
        updates = np.flatnonzero(np.isfinite(norms))[large]
        worst = np.argmax(finite[large])
        action = f"look at the batch of update {updates[worst]}; "
        see(
            "spikes",
            f"the gradient's norm spikes at {large.size} of {norms.size} updates: it is "
            f"{finite[large[worst]]:.2g} at update {updates[worst]}, "
            f"{finite[large[worst]] / before[large[worst]]:.2g} times the median of those before",
            action + "clipping bounds its step, and does not make it right"
            if clipped.size and clipped[updates].all()
            else action + f"clip by norm, with a threshold of {threshold:.2g} to begin with",
            "the loss must no longer jump after the largest norms",
        )
    if middle == 0:
        see(
            "vanishing",
            f"the gradient's norm is 0 at {np.mean(finite == 0):.0%} of the updates",
            "look for a detach, a loss that is flat, or dead units",
            "the norm must be above 0",
        )
    return found


def of_gradients(cell, m, x, h):
    """Return what one measurement shows."""
    network = cell.network
    kind = type(network).__name__ if type(network) in KINDS else ""
    found = []

    def see(name, size, what, action, proof, gate=""):
        found.append(Finding(name, cell.where, what, action, proof, (m.input,), float(size), gate, kind))

    if m.dead >= 0.5:
        see(
            "dead units",
            m.dead,
            f"{m.dead:.0%} of the units are 0 at every step",
            "set the biases to 0 or a little above, scale W_x down, and lower the learning rate",
            "diagnose again: fewer than half of the units may be dead",
        )
    _see_growth(see, network, m, h)
    _see_saturation(see, network, m, x, h)
    if _vanished(m):
        _see_loss(see, network, m)
    return found


def _vanished(m):
    return m.typical[-1] <= -THOUSANDTH


def _see_growth(see, network, m, h):
    """See chaos, explosion, and growth that decays again."""
    D, peak = len(m.best) - 1, int(np.argmax(m.best))
    most, end = m.best[peak], m.best[-1]
    moves = np.any(h[len(h) // 2 :].astype(float).std(axis=0) > 1e-6)
    wanders = bounded(network) and moves and m.rate > max(3 * m.error, 0)
    # In the last quarter, the first steps of the states, a gradient may fall that grew all along.
    falls = 0 < peak <= 3 * D // 4 and end <= most - 1 and end < m.best[3 * D // 4]
    if falls and most >= 1:
        see(
            "transient growth",
            most,
            f"a gradient grows to {_power(most)} times its length over {peak} steps, and has {_power(end)} "
            f"after {D}",
            "start W_h orthogonal, or clip by norm: eigenvalues say nothing about the first steps",
            "with orthogonal blocks of the same spectral radius in W_h, no distance may have ten times "
            "the length",
        )
    if falls or most < THOUSANDTH:
        return
    if wanders:
        see(
            "chaotic",
            most,
            f"the states are bounded, and a gradient grows by e^{m.rate:.2g} per step along them, "
            f"to {_power(most)} after {peak} steps",
            "scale W_h down until the Lyapunov rate is below 0: clipping bounds a step, and leaves its "
            "direction to chance",
            "run it twice, from initial states that differ by 1e-6: the difference must grow to the size "
            "of the states",
        )
    see(
        "exploding",
        most,
        f"a gradient grows to {_power(most)} times its length over {peak} steps",
        "clip by norm, and scale W_h down",
        f"with W_h divided by {np.exp(m.rate):.3g}, it must no longer grow a thousandfold"
        if type(network) is RNN and not bounded(network) and m.rate > 0
        else "with W_h halved, and halved again, it must grow less and then no more",
    )


def _see_saturation(see, network, m, x, h):
    """See gates that are stuck, and activations at their limits."""
    D = len(m.best) - 1
    passes = {gate: numbers[0] for gate, numbers in m.gates.items() if gate in "io"}  # in the mean
    if type(network) is GRU:
        passes = {"z": 1 - m.gates["z"][0]}
    for gate, share in passes.items():
        # What gets in adds up over the steps, what gets out does not.
        limit = 0.01 if gate == "o" else 0.1 / D
        if share < limit:
            lets = {"i": "gets into the cell", "o": "of the cell gets into the state"}
            see(
                "saturated",
                1 - share / limit,
                f"{'1 - ' * (gate == 'z')}{gate} is {share:.2g} in the mean: over {D} steps "
                f"hardly anything {lets.get(gate, 'gets into the state')}",
                f"set the bias of the gate {gate} nearer to 0, and scale its weights down",
                f"diagnose again: the mean of {gate} must be away from its limit",
                gate,
            )
    gone = _vanished(m)
    if m.saturated >= 0.9 or (m.saturated >= 0.5 and gone and not _forgets(m)):
        see(
            "saturated",
            m.saturated,
            f"{m.saturated:.0%} of units and steps have less than a tenth of the largest slope"
            + (
                f", and a gradient keeps {_power(m.typical[-1])} of its length over {D} steps" if gone else ""
            ),
            _what_saturates(network, x, h),
            "diagnose again: fewer than half may be saturated",
        )


def _forgets(m):
    """Return whether the gate by itself is enough for a gradient that has vanished."""
    return m.memory is not None and m.memory < len(m.best) - 1


def _see_loss(see, network, m):
    """See by what a gradient has vanished: by a gate, or by slopes and matrix."""
    D, size = len(m.best) - 1, -m.typical[-1]
    kept = f"a gradient keeps {_power(m.typical[-1])} of its length over {D} steps"
    kept += f", and less than a thousandth after {m.steps}"
    gate = {LSTM: "f", GRU: "z"}.get(type(network), "")
    if _forgets(m):
        bias = np.log(max(2, D))
        share = (1 + np.exp(-bias)) ** -D
        see(
            "forgets",
            size,
            f"{kept}; the gate {gate}, {m.gates[gate][0]:.2g} in the mean, by itself leaves a thousandth "
            f"after {m.memory:.3g}",
            f"set the bias of the gate {gate} to {bias:.2g}, which alone keeps {share:.0%} over {D} steps",
            f"diagnose again: {gate} must be near {1 / (1 + np.exp(-bias)):.3f}, and more than a "
            "thousandth left",
        )
    elif gate:
        see(
            "vanishing",
            size,
            f"{kept}; not by the gate {gate}, which by itself leaves a thousandth after {m.memory:.3g}",
            "look at the states and the other gates: what else is near its limits",
            "diagnose again: more than a thousandth must be left",
        )
    else:
        see("vanishing", size, kept, *_what_takes(network, m))


@refuse_overflow
def _what_saturates(network, x, h):
    """Return what to do, from the largest parts of z."""
    if type(network) is LSTM:
        return (
            "lower the bias of the gate f or i, or scale W_xg down: the cell adds up more than tanh can show"
        )
    n = slice(-h.shape[-1], None)  # the rows of a GRU's candidate, or all
    parts = {"W_x x": x @ network.W_x[n].T, "W_h h": h[:-1] @ network.W_h[n].T, "b": network.b[n]}
    sizes = {name: float(np.mean(abs(part))) for name, part in parts.items()}
    cures = {
        "W_x x": "normalize the input to mean 0 and deviation 1, or scale W_x down",
        "W_h h": "scale W_h down",
        "b": "set the biases nearer to 0",
    }
    most = max(sizes.values())
    large = {name: size for name, size in sizes.items() if size >= most / 2}
    said = " and ".join(f"{name} has size {size:.2g}" for name, size in large.items())
    of = ", in the rows of n" if type(network) is GRU else ""
    return f"{'; '.join(cures[name] for name in large)} (in the mean{of}, {said})"


def _what_takes(network, m):
    """Return what to do about a vanishing gradient, from the factor that takes most of it, and the proof."""
    gated = "for longer distances, take an LSTM or a GRU whose forget gate starts open"
    later = f"a thousandth must be left for longer than {m.steps} steps"
    if m.slopes is None:
        return f"look for the factors of its steps that are below 1; {gated}", f"diagnose again: {later}"
    phi = network.activation
    if m.matrix is not None and m.matrix <= m.slopes:
        start = "at the identity" if phi.name == "relu" else "orthogonal"
        action = f"start W_h {start}, which gives 1 per step in place of {m.matrix:.2g}; {gated}"
        return action, f"diagnose again: W_h must give 1 per step, and {later}"
    if phi.gamma < 1:
        action = f"take tanh, for the slopes of {phi.name} are at most {phi.gamma:g}"
    elif not bounded(network):
        action = f"keep more units above 0, by larger biases: closed ones leave {m.slopes:.2g} per step"
    else:
        action = f"scale down W_x and the input, for the slopes leave {m.slopes:.2g} per step"
    return f"{action}; {gated}", f"diagnose again: φ′ must leave more than {m.slopes:.2g}, and {later}"


def bounded(network):
    """Return whether no state can grow without limit; what is not known counts as unbounded."""
    if type(network) is RNN:
        with np.errstate(all="ignore"):
            return bool(np.all(abs(network.activation.function(np.array([-1e30, 1e30]))) < 1e3))
    return type(network) in KINDS


def merged(findings):
    """Return the findings, worst first; the same one on several kinds of input is one, the worst of them."""
    same = {}
    for finding in sorted(findings, key=lambda finding: -finding.size):
        key = finding.name, finding.where, finding.gate
        # What no input shows, such as a NaN in another array, is another finding.
        same.setdefault(key if finding.inputs else (*key, finding.what), []).append(finding)
    worst = [
        replace(of[0], inputs=tuple(dict.fromkeys(i for f in of for i in f.inputs))) for of in same.values()
    ]
    order = {name: rank for rank, name in enumerate([*VERDICTS, *NO_VERDICTS])}
    return sorted(worst, key=lambda f: (order[f.name], -f.size))
