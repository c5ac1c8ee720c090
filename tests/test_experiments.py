"""The long runs of the experiments page: the file has them all, and a sweep gives the same everywhere."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import _experiments as experiments
import pytest

# The cheapest run of each kind of network, for a few updates only.
SHORT = [
    ("adding", "LSTM, chrono", 50, 1.0, 0, 3),
    ("temporal order", "tanh, orthogonal", 20, None, 1, 3),
    ("copying as Arjovsky 2016", "tanh, Glorot", 100, 1.0, 2, 3),
]


def test_the_file_has_the_runs_of_the_settings():
    file = json.loads(experiments.RESULTS.read_text(encoding="utf-8"))
    assert file["settings"] == experiments.SETTINGS
    rows = [
        tuple(row[key] for key in ("experiment", "network", "length", "clip", "seed")) for row in file["runs"]
    ]
    assert sorted(rows, key=str) == sorted(experiments.runs(), key=str)


@contextmanager
def cluster(folder):
    """Give the workers of a Dask cluster, which have nothing of this repository in their folder."""
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as local:
        command = ["-m", "distributed.cli.dask_worker", local.scheduler_address]
        options = ["--nworkers=2", "--nthreads=1", "--no-dashboard"]
        worker = subprocess.Popen([sys.executable, *command, *options], cwd=folder, stderr=subprocess.DEVNULL)
        try:
            with experiments.workers(local.scheduler_address) as executor:
                yield executor
        finally:
            worker.terminate()
            worker.wait(30)


POOLS = {
    "threads": lambda folder: ThreadPoolExecutor(2),
    "processes": lambda folder: experiments.workers(),
    "cluster": cluster,
}


@pytest.mark.parametrize("pool", POOLS)
def test_every_executor_gives_the_same_numbers(pool, tmp_path):
    with POOLS[pool](tmp_path) as executor:
        found = list(experiments.sweep(experiments.run, SHORT, executor, tmp_path / "journal"))
    expected = [experiments.run(*arguments) for arguments in SHORT]
    for row in [*found, *expected]:
        assert row.pop("seconds") >= 0
    assert sorted(found, key=str) == sorted(expected, key=str)


def test_a_stopped_sweep_goes_on(tmp_path):
    """What is in the journal is not done again, except a line that was cut off."""
    journal, every, called = tmp_path / "new folder" / "journal", [("a", n) for n in range(4)], []

    def half(name, number):
        called.append(number)
        return {"name": name, "number": number, "half": number / 2, "nothing": None}

    def sweep():
        called.clear()
        with ThreadPoolExecutor(1) as executor:
            yield from experiments.sweep(half, every, executor, journal)

    stopped = sweep()
    kept, cut_off = next(stopped), next(stopped)
    stopped.close()
    journal.write_bytes(journal.read_bytes()[:-3])
    everything = [{"name": "a", "number": n, "half": n / 2, "nothing": None} for n in range(4)]
    assert sorted(sweep(), key=str) == sorted(everything, key=str)
    assert sorted([*called, kept["number"]]) == [0, 1, 2, 3] and cut_off["number"] in called
    assert sorted(sweep(), key=str) == sorted(everything, key=str)
    assert called == []


def test_a_worker_with_another_package_is_refused():
    expected = experiments.versions()
    assert experiments.call(max, (1, 2), expected) == 2
    with pytest.raises(RuntimeError, match=r"has .*'numpy'.* and the sweep .*'numpy': '1\.0'"):
        experiments.call(max, (1, 2), expected | {"numpy": "1.0"})


def test_a_scheduler_that_does_not_answer_is_named():
    dask = pytest.importorskip("dask", reason="Dask is not installed")
    address = "tcp://127.0.0.1:9"
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(SystemExit, match=f"no workers at {address}: "),
        experiments.workers(address),
    ):
        pass
