"""Lyapunov exponents beside their bare factorizations: ``make bench`` shows the ratio in parentheses."""

import numpy as np
import pytest

from rnn_notes import lyapunov_exponents


def bare_factorizations(jacobians):
    basis = np.eye(jacobians.shape[-1])
    for J in jacobians:
        basis = np.linalg.qr(J @ basis).Q


@pytest.mark.parametrize("n", [2, 10, 32, 100])
@pytest.mark.parametrize("function", [lyapunov_exponents, bare_factorizations])
def test_speed(benchmark, function, n):
    benchmark.group = f"Lyapunov exponents, {n} units, 200 steps"
    benchmark(function, np.random.default_rng(0).standard_normal((200, n, n)) / n**0.5)
