# SPDX-License-Identifier: BSD-3-Clause
"""Rounds, medians and spreads.

The machine that this runs on is rarely quiet, so nothing is compared across time: contenders run one after the other
within a round, in turning order, a ratio is taken per round, and the median of the ratios is the result.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
from compare_drivers.measure import summary  # noqa: E402 (the path comes first)


def interleave(contenders, rounds):
    """Run each callable once per round, the order reversed every other round. Returns their results by name."""
    results = {name: [] for name in contenders}
    for number in range(rounds):
        names = list(contenders)
        for name in names if number % 2 == 0 else reversed(names):
            results[name].append(contenders[name]())
    return results


def ratios(ours, theirs, key):
    """Summary of ours[i][key] / theirs[i][key], or None where there is nothing to divide by."""
    pairs = [(a[key], b[key]) for a, b in zip(ours, theirs) if b[key]]
    return summary([a / b for a, b in pairs]) if pairs else None
