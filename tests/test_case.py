"""The case of docs/case.md: with other seeds and another size, and its code for other programs."""

import os
import re
from importlib.util import find_spec

import numpy as np
import pytest
from pages import ROOT, shown

from rnn_notes import diagnose

PAGE = ROOT / "docs" / "case.md"


def program(units, *changes):
    """Return what the page's first cell defines, without its runs, for so many units, parts replaced."""
    definitions, _, runs = shown(PAGE)[0].partition("\nbefore = ")
    assert runs
    for old, new in changes:
        assert old in definitions
        definitions = definitions.replace(old, new)
    names = {}
    exec(definitions, names)
    names["H"] = units
    return names


@pytest.mark.parametrize("units", [40, pytest.param(64, marks=pytest.mark.deep)])
def test_the_case_does_not_hang_on_its_seeds_or_its_size(units):
    names = program(units)
    build, train = names["build"], names["train"]
    x, _ = names["temporal_order"](names["T"], 20, np.random.default_rng(2), dtype=np.float32)
    for seed in range(5, 10):
        ill, cured = diagnose(build(seed)[1], x), diagnose(build(seed, embedding=0.1)[1], x)
        assert (ill.verdict, cured.verdict) == ("vanishing", "healthy")
        assert "scale down W_x" in ill.action
        assert abs(ill.blocks[0].radius - 1) < 1e-5
        assert ill.measurements[0].slopes < 0.7 < 0.9 < cured.measurements[0].slopes
        assert train(seed).loss[-50:].mean() > names["guessing"] - 0.01
        assert train(seed, embedding=0.1).outcome == "solved"


@pytest.mark.deep
@pytest.mark.parametrize("change", [{}, {"recurrent": 1.6}])
def test_ten_times_the_updates_change_nothing(change):
    names = program(40, ("steps=200", "steps=2000"))
    for seed in range(5):
        assert names["train"](seed, **change).loss[-500:].mean() > names["guessing"]


@pytest.mark.deep
def test_how_it_goes_at_other_lengths():
    short = program(40, ("T, H, f, guessing = 30", "T, H, f, guessing = 10"))
    long = program(40, ("T, H, f, guessing = 30", "T, H, f, guessing = 60"), ("steps=200", "steps=600"))
    assert {short["train"](seed).outcome for seed in range(5)} == {"solved"}
    assert {long["train"](seed, embedding=0.1).outcome for seed in range(5)} == {"solved", "steps"}


def test_a_gradient_that_arrives_has_to_have_something_in_common():
    names = program(40)
    exec(next(cell for cell in shown(PAGE) if "def in_common" in cell).partition("\nchanges = ")[0], names)
    for seed in range(5, 10):
        shared = {scale: names["in_common"](seed, recurrent=scale) for scale in (1, 1.6)}
        assert max(shared.values()) < 0.003
        assert names["in_common"](seed, embedding=0.1) > 0.01


def blocks(word):
    """Return the code for other programs that has a word in it."""
    found = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    chosen = [block for block in found if word in block]
    assert chosen
    return chosen


def test_the_program_in_pytorch(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    monkeypatch.chdir(tmp_path)
    (written,), (ask,), (saved,) = blocks("nn.init"), blocks("torch.randint"), blocks("torch.save")
    for seed in range(5):
        torch.manual_seed(seed)
        names = {}
        exec(written, names)
        for bias in (names["rnn"].bias_ih_l0, names["rnn"].bias_hh_l0):
            torch.nn.init.zeros_(bias)
        exec(ask, names)
        report = names["report"]
        assert (report.verdict, report.complete) == ("vanishing", True)
        assert "scale down W_x and the input" in report.action
        assert abs(report.blocks[0].radius - 1) < 1e-5
        assert diagnose(names["rnn"], 0.1 * names["embedding"](names["tokens"])).verdict == "healthy"
    exec(saved, names)
    radius = {diagnose(it).blocks[0].radius for it in (names["rnn"], names["rnn"].state_dict(), "rnn.pt")}
    assert len(radius) == 1


def test_an_embedding_of_pytorch_has_deviation_one():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    assert float(torch.nn.Embedding(100, 100).weight.detach().std()) == pytest.approx(1, abs=0.05)


def keras_itself(monkeypatch):
    if "KERAS_BACKEND" not in os.environ:
        there = [name for name in ("jax", "torch", "tensorflow") if find_spec(name)]
        monkeypatch.setenv("KERAS_BACKEND", there[0] if there else "numpy")
    return pytest.importorskip("keras", reason="Keras is not installed")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own
def test_the_code_for_keras(monkeypatch):
    keras_itself(monkeypatch)
    (block,) = blocks("keras.Sequential")
    names = {}
    exec(block, names)
    assert diagnose(names["model"]).complete and diagnose(names["model"].get_weights()).complete


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_an_embedding_of_keras_is_35_times_as_small(monkeypatch):
    keras = keras_itself(monkeypatch)
    layer = keras.layers.Embedding(100, 100)
    layer.build()
    weights = np.asarray(layer.get_weights()[0])
    assert abs(weights).max() <= 0.05
    assert 1 / weights.std() == pytest.approx(20 * 3**0.5, abs=1)  # of a uniform draw, 34.6


def test_the_code_for_safetensors(tmp_path, monkeypatch):
    pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    monkeypatch.chdir(tmp_path)
    (block,) = blocks("save_file")
    names = {"network": program(40)["build"](0)[1]}
    exec(block, names)
    assert (tmp_path / "rnn.safetensors").exists()
