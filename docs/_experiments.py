"""The long runs of `docs/experiments.md`: `make experiments` writes their results.

A run depends on its arguments alone: everything is drawn from the seed, and one thread computes. So it gives
the same numbers again on the same machine, in whatever process. Another experiment is another entry of
`SETTINGS`; what is no training needs another function in place of `run`, and `sweep` spreads its calls.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import numpy as np

import rnn_notes as rn

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "rnn_notes" / "data" / "experiments.json"
POINTS = 20  # of a learning curve
SHARES = 10  # a gradient is measured at every tenth of the sequence

# A value that differs between networks is a dict: of the beginnings of their names, and "other".
OURS = {
    "seeds": 5,
    "hidden": 50,
    "readout": "Glorot",
    "clip": [1.0],
    "clip by": "norm",
    "optimizer": "Adam",
    "rate": {"LSTM": 0.01, "other": 0.001},
    "solved": 0.05,
}
ADDING = OURS | {
    "task": "adding",
    "lengths": [50, 100, 150],
    "networks": [
        "LSTM, bias 1",
        "LSTM, bias 0",
        "LSTM, chrono",
        "IRNN",
        "IRNN, 0.001",
        "ReLU, orthogonal",
        "tanh, identity",
        "tanh, orthogonal",
        "tanh, Glorot",
        "tanh, N(0, 1)",
    ],
    "inputs": {"LSTM": "Keras", "IRNN, 0.001": 0.001, "other": 0.1},
    "readout": {"IRNN, 0.001": 0.001, "other": "Glorot"},
    "batch": 16,
    "steps": 2000,
}
SMALL_WEIGHTS = {"lengths": [50], "networks": ["IRNN"], "inputs": 0.001, "readout": 0.001, "rate": 0.01}
TEMPORAL_ORDER = OURS | {
    "task": "temporal order",
    "lengths": [20, 30, 40, 60],
    "networks": ["tanh, orthogonal"],
    "inputs": "Glorot",
    "batch": 20,
    "steps": 4000,
    "clip": [1.0, None],
    "optimizer": "SGD",
    "rate": 0.1,
}
COPYING = OURS | {
    "task": "copying",
    "lengths": [20, 100],
    "networks": ["LSTM, bias 1", "linear, orthogonal", "linear, identity", "tanh, orthogonal"],
    "inputs": {"LSTM": "Keras", "other": "Glorot"},
    "batch": 20,
    "steps": 1000,
}
SETTINGS = {
    "adding": ADDING,
    "adding without late marks": ADDING
    | {
        "task": "adding without late marks",
        "lengths": [100],
        "networks": ["LSTM, bias 1", "LSTM, chrono"],
        "inputs": "Keras",
        "readout": "Glorot",
        "rate": 0.01,
    },
    "adding from small weights": ADDING | SMALL_WEIGHTS | {"steps": 4000},
    "temporal order": TEMPORAL_ORDER,
    "temporal order at 0.01": TEMPORAL_ORDER | {"rate": 0.01},
    "copying": COPYING,
    "copying as Arjovsky 2016": COPYING
    | {
        "seeds": 3,
        "lengths": [100],
        "networks": ["LSTM, bias 1", "tanh, Glorot"],
        "hidden": {"LSTM": 40, "other": 80},
        "inputs": "Glorot",
        "steps": 10_000,
        "clip by": "value",
        "optimizer": "RMSprop",
        "rate": 0.001,
    },
    "adding as Le 2015": ADDING
    | SMALL_WEIGHTS
    | {"seeds": 3, "hidden": 100, "steps": 30_000, "clip": [10.0], "optimizer": "SGD"},
}


def without_late_marks(length, batch, rng):
    """Return inputs and targets as `adding` does, with the second mark in the third quarter."""
    x, column = np.zeros((length, batch, 2)), np.arange(batch)
    x[..., 0] = rng.random((length, batch))
    first = rng.integers(0, length // 2, batch)
    second = rng.integers(length // 2, 3 * length // 4, batch)
    x[first, column, 1] = x[second, column, 1] = 1.0
    return x, (x[first, column, 0] + x[second, column, 0])[:, None]


TASKS = {
    "adding": rn.adding,
    "adding without late marks": replace(rn.adding, generate=without_late_marks),
    "temporal order": rn.temporal_order,
    "copying": rn.copying,
}


class RMSprop:
    """w ← w - α g / √r, with the running mean r ← 0.9 r + 0.1 g² (Tieleman and Hinton 2012).

    As in the code of Arjovsky, Shah and Bengio, https://github.com/amarshah/complex_RNN: r begins at 0.001.
    They add no number to the root; ours keeps the quotient finite where all gradients were 0.
    """

    def __init__(self, learning_rate):
        self.learning_rate, self._mean_squares = learning_rate, {}

    def step(self, parameters, gradients):
        """Update the parameters, in place."""
        for name, w in parameters.items():
            g, before = gradients[name], self._mean_squares.get(name, 0.001)
            r = self._mean_squares[name] = 0.9 * before + 0.1 * g * g
            w -= self.learning_rate * g / (np.sqrt(r) + 1e-8)


def runs():
    """Return every run as a tuple (experiment, network, length, clip, seed)."""
    return [
        (experiment, network, length, clip, seed)
        for experiment, setting in SETTINGS.items()
        for network in setting["networks"]
        for length in setting["lengths"]
        for clip in setting["clip"]
        for seed in range(setting["seeds"])
    ]


def chosen(value, network):
    """Return what a value of a setting is for one network."""
    if not isinstance(value, dict):
        return value
    return next((v for name, v in value.items() if network.startswith(name)), value["other"])


def draw(shape, law, rng):
    """Return a float32 matrix: uniform after "Glorot", or from N(0, `law`²)."""
    if law == "Glorot":
        return rn.glorot_uniform(shape, rng, dtype=np.float32)
    return rn.random_normal(shape, rng, std=law, dtype=np.float32)


def make_network(name, inputs, hidden, length, law, W_x_rng, W_h_rng):
    """Return an untrained network in float32: "LSTM, ..." with its forget bias, or an `RNN`.

    Two networks of one kind that start from the same generators differ in what their names say, and in
    nothing else.
    """
    H, kind, start = hidden, *name.partition(", ")[::2]
    if kind == "LSTM":
        if law == "Keras":  # which draws all from the first generator
            weights = rn.framework_default("keras", inputs, H, W_x_rng, gates=4, dtype=np.float32)
        else:
            W_x = [draw((H, inputs), law, W_x_rng) for _ in range(4)]
            W_h = [draw((H, H), law, W_h_rng) for _ in range(4)]
            b = np.zeros(4 * H, np.float32)
            weights = {"W_x": np.concatenate(W_x), "W_h": np.concatenate(W_h), "b": b}
        if start == "chrono":  # b_f = ln U(1, T - 1) and b_i = -b_f, T the longest dependence
            b_f = np.log(W_h_rng.uniform(1, length - 1, H))
            weights["b"][:H], weights["b"][H : 2 * H] = -b_f, b_f
        else:
            weights["b"][H : 2 * H] = float(start.removeprefix("bias "))
        return rn.LSTM(**weights)
    if kind == "IRNN":
        kind, start = "ReLU", "identity"
    initializer = {"N(0, 1)": "normal"}.get(start, start.lower())
    W_h = rn.INITIALIZERS[initializer](H, W_h_rng, dtype=np.float32)
    activation = {"ReLU": "relu", "linear": "identity", "tanh": "tanh"}[kind]
    W_x = draw((H, inputs), law, W_x_rng)
    return rn.RNN(W_x, W_h, np.zeros(H, np.float32), activation)


def measure(net, readout, task, x, target):
    """Return what the gradient of the loss of one batch is, in float64.

    Along all paths: the norm of ∂L/∂s, s all that goes on from a step (the h of an `RNN`; h and c of an
    `LSTM`), at the last step and at every tenth of the steps before; and norm and largest entry of the
    gradients of the parameters together. Where the task reads every step, L is for ∂L/∂s the loss at the last
    ten, the symbols that `copying` asks for.
    """
    net, readout = copy(net), copy(readout)
    for part in net, readout:
        for name, w in part.parameters().items():
            setattr(part, name, w.astype(np.float64))
    T, state = len(x), net.forward(x)
    h = net.hidden(state)
    read = h[1:] if task.every_step else h[-1]
    _, dy = task.loss(readout.forward(read), target)
    last = readout.backward(read, dy)
    first = net.backward(x, state, last.h)
    gradients = {name: getattr(first, name) for name in net.parameters()}
    gradients |= {name: getattr(last, name) for name in readout.parameters()}
    dh = last.h
    if task.every_step:
        dh[:-10] = 0
    norms = [rn.global_norm(dh[-1] if task.every_step else dh)]
    for t in reversed(range(0, T, T // SHARES)):
        rest = h[t:] if h is state else type(state)(*(part[t:] for part in vars(state).values()))
        back = net.backward(x[t:], rest, dh[t:] if task.every_step else dh)
        norms.append(rn.global_norm([back.h0, back.c0] if hasattr(back, "c0") else back.h0))
    return {
        "norms": [_digits(norm) for norm in norms],
        "norm": _digits(rn.global_norm(gradients)),
        "largest": _digits(max(abs(g).max() for g in gradients.values())),
    }


def run(experiment, network, length, clip, seed, steps=None):
    """Train one network and return what the page needs, as a dict.

    Sequences, input weights, recurrent weights and readout have a generator each: runs with the same seed see
    the same sequences, whatever their networks draw.
    """
    setting = {key: chosen(value, network) for key, value in SETTINGS[experiment].items()}
    streams = np.random.SeedSequence(seed).spawn(4)
    rng, W_x_rng, W_h_rng, W_y_rng = map(np.random.default_rng, streams)
    task = TASKS[setting["task"]]
    H, steps = setting["hidden"], steps or setting["steps"]
    net = make_network(network, task.inputs, H, length, setting["inputs"], W_x_rng, W_h_rng)
    W_y = draw((task.outputs, H), setting["readout"], W_y_rng)
    readout = rn.Readout(W_y, np.zeros(task.outputs, np.float32))
    batch = task(length, setting["batch"], np.random.default_rng(streams[0]))
    at_start = measure(net, readout, task, *batch)
    optimizer = {"Adam": rn.Adam, "SGD": rn.SGD, "RMSprop": RMSprop}[setting["optimizer"]]
    start = time.thread_time()
    history = rn.fit(
        net,
        readout,
        task,
        optimizer(setting["rate"]),
        rng,
        length=length,
        batch=setting["batch"],
        steps=steps,
        clip=clip,
        clip_with={"norm": rn.clip_by_norm, "value": rn.clip_by_value}[setting["clip by"]],
        solved=setting["solved"],
        progress=False,
    )
    seconds = time.thread_time() - start
    error, block = history.error, max(steps // POINTS, 1)
    return {
        "experiment": experiment,
        "network": network,
        "length": length,
        "clip": clip,
        "seed": seed,
        "outcome": history.outcome,
        "steps": len(error),
        "error": _digits(error[-50:].mean()) if len(error) else None,
        "curve": [_digits(error[at : at + block].mean()) for at in range(0, len(error), block)],
        "largest_norm": _digits(history.gradient_norm.max()) if len(error) else None,
        "start": at_start,
        "end": None if history.outcome == "diverged" else measure(net, readout, task, *batch),
        "seconds": round(seconds, 1),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def _digits(number):
    return float(f"{number:.3g}")


def versions():
    """Return what a result depends on beside its function and arguments; of the package, a hash."""
    sources = sorted(Path(rn.__file__).parent.glob("*.py"))
    code = sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    return {"python": platform.python_version(), "numpy": np.__version__, "rnn_notes": code[:12]}


def call(function, arguments, expected):
    """Call a function where the versions are the expected ones."""
    if (found := versions()) != expected:
        raise RuntimeError(f"worker {platform.node()} has {found}, and the sweep {expected}")
    return function(*arguments)


def sweep(function, every, executor, journal):
    """Yield `function(*arguments)` for all arguments in `every`, in the order in which the results come.

    Parameters
    ----------
    function : callable
        What is the same for the same arguments. It returns what JSON can hold, and so are its arguments.
    every : list of tuple
        The arguments of each call.
    executor : concurrent.futures.Executor
        Where the calls run: processes, threads, the workers of a cluster.
    journal : Path
        The file that keeps each result as soon as it is there, so that a sweep that was stopped goes on.
    """
    journal.parent.mkdir(parents=True, exist_ok=True)
    with journal.open("a+b") as file:
        file.seek(0)
        text = file.read()
        file.truncate(text.rfind(b"\n") + 1)  # the last line may have been cut off
        lines = text.split(b"\n")[:-1]
        done = {tuple(arguments): result for arguments, result in map(json.loads, lines)}
        yield from (done[arguments] for arguments in every if arguments in done)
        waiting = {
            executor.submit(call, function, arguments, versions()): arguments
            for arguments in every
            if arguments not in done
        }
        try:
            for future in as_completed(waiting):
                result = future.result()
                file.write(json.dumps([waiting[future], result]).encode() + b"\n")
                file.flush()
                yield result
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def workers(scheduler=None):
    """Give an executor: processes of this machine, or the workers of the Dask cluster at an address."""
    if scheduler is None:
        for library in ("OMP", "OPENBLAS", "MKL"):
            os.environ[library + "_NUM_THREADS"] = "1"  # for the new processes, whose NumPy reads it
        os.environ["VECLIB_MAXIMUM_THREADS"] = "1"
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            yield pool
        return
    from distributed import Client
    from distributed.versions import VersionMismatchWarning

    try:
        with warnings.catch_warnings(action="error", category=VersionMismatchWarning):
            client = Client(scheduler)  # code for another Python would take a worker down, and the sweep wait
    except (OSError, ValueError, VersionMismatchWarning) as error:
        sys.exit(f"no workers at {scheduler}: {error}")
    with client:
        client.upload_file(__file__)  # the workers have the package, but not what only the site needs
        yield client.get_executor()


def _git(*arguments):
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, encoding="utf-8")
    return done.stdout.strip()


def main():
    """Do all runs, and write `RESULTS`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster, as in tcp://10.0.0.1:8786")
    scheduler = parser.parse_args().scheduler
    every, done = runs(), []
    commit = _git("rev-parse", "HEAD")
    sources = ["docs/_experiments.py", "rnn_notes", ":!rnn_notes/figures", ":!rnn_notes/data"]
    if _git("status", "--porcelain", "--", *sources):
        commit += ", with changes"
    basis = sha256(repr(versions()).encode() + Path(__file__).read_bytes()).hexdigest()
    journal = ROOT / "_build" / "experiments" / f"{basis[:16]}.jsonl"
    try:
        with workers(scheduler) as executor:
            for result in sweep(run, every, executor, journal):
                done.append(result)
                text = "{experiment}, {network}, {length}, clip {clip}, seed {seed}: {outcome}, {steps} steps"
                print(f"{len(done)}/{len(every)} ", text.format(**result), flush=True)
    except KeyboardInterrupt:
        sys.exit(f"stopped; the same command goes on after {len(done)} of {len(every)} runs")
    order = {key: place for place, key in enumerate(sorted(every, key=str))}
    done.sort(key=lambda r: order[r["experiment"], r["network"], r["length"], r["clip"], r["seed"]])
    document = {
        "command": "make experiments",
        "commit": commit,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": "; ".join(sorted({result.pop("machine") for result in done})),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "points": POINTS,
        "shares": SHARES,
        "settings": SETTINGS,
    }
    rows = ",\n".join(json.dumps(row, sort_keys=True, separators=(",", ":")) for row in done)
    head = json.dumps(document, sort_keys=True, indent=1)
    RESULTS.write_text(head[:-2] + ',\n "runs": [\n' + rows + "\n]}\n", encoding="utf-8")
    journal.unlink()
    print("Wrote", RESULTS)


if __name__ == "__main__":
    import _experiments  # by the name under which workers import it

    _experiments.main()
