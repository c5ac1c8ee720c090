"""A diagnosis beside one forward and backward: ``make bench`` shows the ratio in parentheses."""

import numpy as np
import pytest

from rnn_notes import LSTM, diagnose, framework_default


def forward_and_backward(layers, x):
    for layer in layers:
        state = layer.forward(x)
        layer.backward(x, state, np.ones_like(state.h[1:]))
        x = state.h[1:]


@pytest.mark.parametrize("H", [64, 512])
@pytest.mark.parametrize("function", [diagnose, forward_and_backward])
def test_speed(benchmark, function, H):
    rng = np.random.default_rng(0)
    benchmark.group = f"LSTM of two layers, {H} units, 200 steps, 4 sequences"
    weights = [framework_default("pytorch", H, H, rng, gates=4, dtype=np.float32) for _ in range(2)]
    x = rng.standard_normal((200, 4, H), np.float32)
    benchmark.pedantic(function, ([LSTM(**arrays) for arrays in weights], x), rounds=2)
