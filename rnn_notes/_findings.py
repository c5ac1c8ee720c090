"""From a measurement to what it shows: the rules of `diagnose`."""

from dataclasses import replace

import numpy as np

from rnn_notes._growth import KINDS
from rnn_notes.gru import GRU
from rnn_notes.lstm import LSTM
from rnn_notes.report import VERDICTS, Finding, _power
from rnn_notes.rnn import RNN

# In log₁₀: less than this is left, and a gradient has vanished; more than its inverse, and it has exploded.
THOUSANDTH = 3.0


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
            found.append(
                Finding(
                    "forget bias", cell.where, what, action, "the forget gate's mean must fall to σ of one"
                )
            )
    return found


def of_gradients(cell, m, x, h):
    """Return what one measurement shows."""
    found, D = [], len(m.best) - 1
    network, end, best, peak = cell.network, m.typical[-1], m.best[-1], int(np.argmax(m.best))
    ours = type(network) in KINDS
    vanished = end <= -THOUSANDTH
    falls = 0 < peak < D and best <= m.best[peak] - 1 and best < m.best[3 * D // 4]

    def see(name, size, what, action, proof, gate=""):
        kind = type(network).__name__ if ours else ""
        found.append(Finding(name, cell.where, what, action, proof, (m.input,), float(size), gate, kind))

    if m.dead >= 0.5:
        see(
            "dead units",
            m.dead,
            f"{m.dead:.0%} of the units are 0 at every step",
            "set the biases to 0 or a little above, scale W_x down, and lower the learning rate",
            "diagnose again: fewer than half of the units may be dead",
        )
    limited = bounded(network)
    half = h[len(h) // 2 :].astype(float)
    moves = bool(np.any(half.std(axis=0) > 1e-6))
    grows = m.rate > 3 * m.error and m.rate > 0
    if best >= THOUSANDTH and not falls and limited and moves and grows:
        see(
            "chaotic",
            best,
            f"the states are bounded, and a gradient grows by e^{m.rate:.2g} per step along them, "
            f"to {_power(best)} after {D} steps",
            "scale W_h down until the Lyapunov rate is below 0: clipping bounds a step, and leaves its "
            "direction to chance",
            "run it twice, from initial states that differ by 1e-6: the difference must grow to the size "
            "of the states",
        )
    if best >= THOUSANDTH and not falls:
        see(
            "exploding",
            best,
            f"a gradient grows to {_power(best)} times its length over {D} steps",
            "clip by norm, and scale W_h down",
            f"with W_h divided by {np.exp(m.rate):.3g}, it must no longer grow a thousandfold"
            if type(network) is RNN and not limited and m.rate > 0
            else "with W_h halved, and halved again, it must grow less and then no more",
        )
    gates = m.gates
    stuck = {"i": gates.get("i", (0, 0))[1], "o": gates.get("o", (0, 0))[1]} if type(network) is LSTM else {}
    if type(network) is GRU:
        stuck = {"z": gates["z"][2]}
    for gate, share in stuck.items():
        if share >= 0.9:
            side = "above 0.99" if gate == "z" else "below 0.01"
            lets = {"z": "hardly anything gets into the state", "i": "hardly anything gets into the cell"}
            see(
                "saturated",
                share,
                f"the gate {gate} is {side} at {share:.0%} of units and steps: "
                f"{lets.get(gate, 'hardly anything of the cell gets into the state')}",
                f"set the bias of the gate {gate} nearer to 0, and scale its weights down",
                f"diagnose again: the mean of {gate} must be away from its limit",
                gate,
            )
    forgets = vanished and m.memory is not None and m.memory < D
    bends = type(network) is not GRU and ours
    if bends and ((m.saturated >= 0.5 and vanished and not forgets) or m.saturated >= 0.9):
        see(
            "saturated",
            m.saturated,
            f"{m.saturated:.0%} of units and steps have less than a tenth of the largest slope"
            + (f", and a gradient keeps {_power(end)} of its length over {D} steps" if vanished else ""),
            _what_saturates(network, x, h),
            "diagnose again: fewer than half may be saturated",
        )
    if falls and m.best[peak] >= 1:
        see(
            "transient growth",
            m.best[peak],
            f"a gradient grows to {_power(m.best[peak])} times its length over {peak} steps, "
            f"and has {_power(best)} after {D}",
            "start W_h orthogonal, or clip by norm: eigenvalues say nothing about the first steps",
            "with orthogonal blocks of the same spectral radius in W_h, no distance may have ten times "
            "the length",
        )
    if vanished:
        kept = f"a gradient keeps {_power(end)} of its length over {D} steps"
        kept += f", and less than a thousandth after {m.steps}"
        gate = {LSTM: "f", GRU: "z"}.get(type(network), "")
        if forgets:
            bias = np.log(max(2, D))
            see(
                "forgets",
                -end,
                f"{kept}; the gate {gate}, {gates[gate][0]:.2g} in the mean, by itself leaves a thousandth "
                f"after {m.memory:.3g}",
                f"set the bias of the gate {gate} to {bias:.2g}, which by itself keeps about 37 % over "
                f"{D} steps",
                f"diagnose again: {gate} must be near {1 / (1 + np.exp(-bias)):.3f}, and more than a "
                "thousandth left",
            )
        elif gate:
            see(
                "vanishing",
                -end,
                f"{kept}; not by the gate {gate}, which by itself leaves a thousandth after {m.memory:.3g}",
                "look at the states and the other gates: what else is near its limits",
                "diagnose again: more than a thousandth must be left",
            )
        else:
            see("vanishing", -end, kept, *_what_takes(network, m))
    return found


def _what_saturates(network, x, h):
    """Return what to do, from the largest parts of z."""
    if type(network) is LSTM:
        return (
            "lower the bias of the gate f or i, or scale W_xg down: the cell adds up more than tanh can show"
        )
    parts = {"W_x x": x @ network.W_x.T, "W_h h": h[:-1] @ network.W_h.T, "b": network.b}
    sizes = {name: float(np.mean(abs(part))) for name, part in parts.items()}
    cures = {
        "W_x x": "normalize the input to mean 0 and deviation 1, or scale W_x down",
        "W_h h": "scale W_h down",
        "b": "set the biases nearer to 0",
    }
    most = max(sizes.values())
    large = {name: size for name, size in sizes.items() if size >= most / 2}
    said = " and ".join(f"{name} has size {size:.2g}" for name, size in large.items())
    return f"{'; '.join(cures[name] for name in large)} (in the mean, {said})"


def _what_takes(network, m):
    """Return what to do about a vanishing gradient, from the factor that takes most of it, and the proof."""
    gated = "for longer distances, take an LSTM or a GRU whose forget gate starts open"
    later = f"a thousandth must be left for longer than {m.steps} steps"
    if m.slopes is None:
        return f"look for the factors of its steps that are below 1; {gated}", f"diagnose again: {later}"
    phi = network.activation
    if m.matrix <= m.slopes:
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
    """Return the findings, worst first; the same of several kinds of input is one."""
    merged = {}
    for finding in findings:
        same = merged.setdefault((finding.name, finding.where, finding.gate), [])
        same.append(finding)
    worst = [
        replace(
            max(same, key=lambda f: f.size), inputs=tuple(dict.fromkeys(i for f in same for i in f.inputs))
        )
        for same in merged.values()
    ]
    order = {name: rank for rank, name in enumerate([*VERDICTS, "forget bias"])}
    return sorted(worst, key=lambda f: (order[f.name], -f.size))
