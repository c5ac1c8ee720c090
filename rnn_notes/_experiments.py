"""The long runs of the page "Published results, run again": `make experiments` writes their results.

Everything is drawn from the seeds, and each run uses one thread, so that a run gives the same numbers again
on the same machine. Several runs go at the same time.
"""

import json
import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import numpy as np

import rnn_notes as rn

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("data") / "experiments.json"
SEEDS = range(5)
HIDDEN = 50
BLOCK = 200  # updates that one point of a learning curve averages

SETTINGS = {
    "adding": {
        "lengths": [50, 100, 150],
        "networks": [
            "LSTM, bias 1",
            "LSTM, bias 0",
            "LSTM, chrono",
            "IRNN",
            "tanh, orthogonal",
            "tanh, Glorot",
            "tanh, N(0, 1)",
        ],
        "batch": 16,
        "steps": 2000,
        "clip": [1.0],
        "optimizer": "Adam",
        "rates": {"LSTM": 0.01, "other": 0.001},
    },
    "temporal order": {
        "lengths": [20, 30, 40, 60, 100],
        "networks": ["tanh, orthogonal"],
        "batch": 20,
        "steps": 4000,
        "clip": [1.0, None],
        "optimizer": "SGD",
        "rates": {"other": 0.1},
    },
    "copying": {
        "lengths": [20, 100],
        "networks": ["LSTM, bias 1", "LSTM, chrono", "identity, orthogonal", "tanh, orthogonal"],
        "batch": 20,
        "steps": 1000,
        "clip": [1.0],
        "optimizer": "Adam",
        "rates": {"LSTM": 0.01, "other": 0.001},
    },
}


def runs():
    """Return every run as a tuple (task, network, length, clip, seed), the most expensive first."""
    every = [
        (task, network, length, clip, seed)
        for task, setting in SETTINGS.items()
        for network in setting["networks"]
        for length in setting["lengths"]
        for clip in setting["clip"]
        for seed in SEEDS
    ]
    return sorted(every, key=lambda run: (not run[1].startswith("LSTM"), -run[2]))


def make_network(name, inputs, length, rng):
    """Return an untrained network in float32: "LSTM, ..." with its forget bias, or an `RNN`."""
    H, kind, start = HIDDEN, *name.partition(", ")[::2]
    if kind == "LSTM":
        weights = rn.framework_default("keras", inputs, H, rng, gates=4, dtype=np.float32)
        if start == "chrono":  # b_f = ln U(1, T - 1) and b_i = -b_f, T the longest dependence
            b_f = np.log(rng.uniform(1, length - 1, H))
            weights["b"][:H], weights["b"][H : 2 * H] = -b_f, b_f
        else:
            weights["b"][H : 2 * H] = float(start.removeprefix("bias "))
        return rn.LSTM(**weights)
    if kind == "IRNN":
        W_x = rn.random_normal((H, inputs), rng, std=0.1, dtype=np.float32)
        return rn.RNN(W_x, rn.identity_matrix(H, dtype=np.float32), np.zeros(H, np.float32), "relu")
    initializer = {"orthogonal": "orthogonal", "Glorot": "glorot", "N(0, 1)": "normal"}[start]
    W_x = rn.glorot_uniform((H, inputs), rng, dtype=np.float32)
    W_h = rn.INITIALIZERS[initializer](H, rng, dtype=np.float32)
    return rn.RNN(W_x, W_h, np.zeros(H, np.float32), kind)


def run(task, network, length, clip, seed, steps=None):
    """Train one network and return what the page needs, as a dict."""
    setting, rng = SETTINGS[task], np.random.default_rng(seed)
    problem = {"adding": rn.adding, "temporal order": rn.temporal_order, "copying": rn.copying}[task]
    net = make_network(network, problem.inputs, length, rng)
    W_y = rn.glorot_uniform((problem.outputs, HIDDEN), rng, dtype=np.float32)
    readout = rn.Readout(W_y, np.zeros(problem.outputs, np.float32))
    rate = setting["rates"].get(network.split(",")[0], setting["rates"]["other"])
    start = time.process_time()
    history = rn.fit(
        net,
        readout,
        problem,
        getattr(rn, setting["optimizer"])(rate),
        rng,
        length=length,
        batch=setting["batch"],
        steps=steps or setting["steps"],
        clip=clip,
        progress=False,
    )
    error = history.error
    return {
        "task": task,
        "network": network,
        "length": length,
        "clip": clip,
        "seed": seed,
        "outcome": history.outcome,
        "steps": len(error),
        "error": _digits(error[-50:].mean()) if len(error) else None,
        "curve": [_digits(error[at : at + BLOCK].mean()) for at in range(0, len(error), BLOCK)],
        "largest_norm": _digits(history.gradient_norm.max()) if len(error) else None,
        "seconds": round(time.process_time() - start, 1),
    }


def _digits(number):
    return float(f"{number:.3g}")


def _git(*arguments):
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, encoding="utf-8")
    return done.stdout.strip()


def _run(arguments):
    return run(*arguments)


def main():
    """Do all runs, and write `RESULTS`."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
        os.environ[name] = "1"  # for the new processes, whose NumPy reads it
    start, every, done = time.perf_counter(), runs(), []
    commit = _git("rev-parse", "HEAD")
    if _git("status", "--porcelain", "--", "rnn_notes", ":!rnn_notes/figures", ":!rnn_notes/data"):
        commit += ", with changes"
    with get_context("spawn").Pool() as pool:
        for result in pool.imap_unordered(_run, every):
            done.append(result)
            text = "{task}, {network}, {length}, clip {clip}, seed {seed}: {outcome}, {steps} steps"
            print(f"{len(done)}/{len(every)} ", text.format(**result), flush=True)
    order = {key: place for place, key in enumerate(sorted(every, key=str))}
    done.sort(key=lambda r: order[r["task"], r["network"], r["length"], r["clip"], r["seed"]])
    document = {
        "command": "make experiments",
        "commit": commit,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "minutes": round((time.perf_counter() - start) / 60, 1),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "seeds": list(SEEDS),
        "block": BLOCK,
        "hidden": HIDDEN,
        "settings": SETTINGS,
    }
    rows = ",\n".join(json.dumps(row, sort_keys=True, separators=(",", ":")) for row in done)
    head = json.dumps(document, sort_keys=True, indent=1)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(head[:-2] + ',\n "runs": [\n' + rows + "\n]}\n", encoding="utf-8")
    print("Wrote", RESULTS)


if __name__ == "__main__":
    main()
