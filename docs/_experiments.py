"""The long runs of the page "Published results, run again": `make experiments` writes their results.

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
from datetime import UTC, datetime
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import numpy as np

import rnn_notes as rn

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "rnn_notes" / "data" / "experiments.json"
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
    start = time.thread_time()
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
        "seconds": round(time.thread_time() - start, 1),
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
                text = "{task}, {network}, {length}, clip {clip}, seed {seed}: {outcome}, {steps} steps"
                print(f"{len(done)}/{len(every)} ", text.format(**result), flush=True)
    except KeyboardInterrupt:
        sys.exit(f"stopped; the same command goes on after {len(done)} of {len(every)} runs")
    order = {key: place for place, key in enumerate(sorted(every, key=str))}
    done.sort(key=lambda r: order[r["task"], r["network"], r["length"], r["clip"], r["seed"]])
    document = {
        "command": "make experiments",
        "commit": commit,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": "; ".join(sorted({result.pop("machine") for result in done})),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "seeds": list(SEEDS),
        "block": BLOCK,
        "hidden": HIDDEN,
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
