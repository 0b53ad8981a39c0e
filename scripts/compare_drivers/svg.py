# SPDX-License-Identifier: BSD-3-Clause
"""Two kinds of plot as inline SVG. Colours are classes c0, c1, …, set by the page for light and dark."""
import math
from html import escape

from .text import count

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 76, 20, 16, 52


def ticks_log(low, high):
    """1, 2, 5 of each decade within the range; decades alone where these would be many."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if last - first <= 3 else (1,)
    return [step * 10**power for power in range(first, last + 1) for step in steps
            if low <= step * 10**power <= high]


def number(value):
    return f"{value:g}" if value < 1000 else count(value)


class Axis:
    """Logarithmic, with a little room at both ends."""

    def __init__(self, values, start, end):
        self.low, self.high = min(values) / 1.3, max(values) * 1.3
        self.start, self.end = start, end

    def place(self, value):
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self):
        return ticks_log(self.low, self.high)


def frame(horizontal, vertical, horizontal_name, vertical_name):
    parts = []
    for value in horizontal.ticks():
        x = horizontal.place(value)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}"/>'
                     f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{number(value)}</text>')
    for value in vertical.ticks():
        y = vertical.place(value)
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>'
                     f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number(value)}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
                 f"{escape(horizontal_name)}</text>")
    parts.append(f'<text transform="translate(16 {middle}) rotate(-90)" text-anchor="middle">'
                 f"{escape(vertical_name)}</text>")
    return parts


def latency_plot(series, title):
    """series: [(name, colour, [(iops, latency_us, depth), …])]. Lines join the depths of a mode."""
    points = [point for _, _, line in series for point in line]
    horizontal = Axis([point[0] for point in points], LEFT, WIDTH - RIGHT)
    vertical = Axis([point[1] for point in points], HEIGHT - BOTTOM, TOP)
    parts = frame(horizontal, vertical, "I/Os per second", "mean latency, microseconds")
    for name, colour, line in series:
        path = " ".join(f"{horizontal.place(x):.1f},{vertical.place(y):.1f}" for x, y, _ in line)
        parts.append(f'<polyline class="line c{colour}" points="{path}"/>')
        for x, y, depth in line:
            parts.append(f'<circle class="dot c{colour}" cx="{horizontal.place(x):.1f}" cy="{vertical.place(y):.1f}" '
                         f'r="4"><title>{escape(name)}, depth {depth}: {x:,.0f} IOPS, {y:,.1f} us</title></circle>')
    return (f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
            f'{"".join(parts)}</svg>')


def bar_plot(bars, title, published):
    """bars: [(name, colour, ratio, low, high)]; published: a ratio to mark, or None."""
    label, height, right = 170, 26, 70
    top = max([bar[4] for bar in bars] + [published or 0, 1.0]) * 1.05
    total = height * len(bars) + 34

    def place(value):
        return label + value / top * (WIDTH - label - right)

    parts = []
    for index, (name, colour, ratio, low, high) in enumerate(bars):
        y = index * height + 6
        parts.append(f'<text x="{label - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>'
                     f'<rect class="bar c{colour}" x="{label}" y="{y}" width="{place(ratio) - label:.1f}" height="18" '
                     f'rx="2"><title>{escape(name)}: {ratio:.2f} times sync</title></rect>'
                     f'<line class="range" x1="{place(low):.1f}" x2="{place(high):.1f}" y1="{y + 9}" y2="{y + 9}"/>'
                     f'<text x="{place(max(ratio, high)) + 6:.1f}" y="{y + 14}">{ratio:.2f}</text>')
    bottom = height * len(bars) + 6
    for value, kind, name in ((1.0, "one", "sync"), (published, "published", "published")):
        if value:
            parts.append(f'<line class="{kind}" x1="{place(value):.1f}" x2="{place(value):.1f}" y1="0" y2="{bottom}"/>'
                         f'<text x="{place(value):.1f}" y="{bottom + 16}" text-anchor="middle">'
                         f"{name} {value:g}</text>")
    return f'<svg viewBox="0 0 {WIDTH} {total}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
