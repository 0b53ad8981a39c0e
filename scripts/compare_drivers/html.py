# SPDX-License-Identifier: BSD-3-Clause
"""The report as one page that needs nothing else: styles and plots are in it, and it is well-formed XML."""
from html import escape

from . import svg, text

LIGHT = ("#6b7280", "#a16207", "#b91c1c", "#0e7490", "#7c3aed", "#1d4ed8", "#15803d", "#be185d",
         "#c2410c", "#0f766e")
DARK = ("#9ca3af", "#eab308", "#f87171", "#22d3ee", "#a78bfa", "#60a5fa", "#4ade80", "#f472b6",
        "#fb923c", "#2dd4bf")

STYLE = """
:root { color-scheme: light dark; --text: #1f2937; --soft: #6b7280; --back: #ffffff; --rule: #e5e7eb; LIGHT }
@media (prefers-color-scheme: dark) {
:root { --text: #e5e7eb; --soft: #9ca3af; --back: #111827; --rule: #374151; DARK } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { margin-top: 2.5rem; } h3 { margin: 2rem 0 .5rem; }
svg { width: 100%; height: auto; max-width: 760px; display: block; }
svg text { font-size: 12px; fill: var(--text); }
.grid { stroke: var(--rule); } .range { stroke: var(--text); stroke-width: 1.5; }
.one { stroke: var(--soft); } .published { stroke: var(--text); stroke-dasharray: 5 4; }
.line { fill: none; stroke-width: 2; }
table { border-collapse: collapse; width: 100%; font-size: 13px; margin: .5rem 0; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid var(--rule); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } .wide { overflow-x: auto; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: 14px; }
dt { color: var(--soft); } dd { margin: 0; }
.legend span { display: inline-block; margin-right: 1.2rem; white-space: nowrap; font-size: 13px; }
.legend i { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin-right: .35rem; }
.soft { color: var(--soft); }
"""


def style():
    colours = [" ".join(f"--c{index}: {value};" for index, value in enumerate(theme)) for theme in (LIGHT, DARK)]
    classes = "".join(f".line.c{i} {{ stroke: var(--c{i}); }} .dot.c{i}, .bar.c{i} {{ fill: var(--c{i}); }} "
                      f".legend .c{i} {{ background: var(--c{i}); }}\n" for i in range(len(LIGHT)))
    return STYLE.replace("LIGHT", colours[0]).replace("DARK", colours[1]) + classes


def facts(pairs):
    return "<dl>" + "".join(f"<dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd>"
                            for name, value in pairs) + "</dl>"


def table(head, rows):
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def legend(modes, colours):
    return '<p class="legend">' + "".join(f'<span><i class="c{colours[mode]}"></i>{escape(mode)}</span>'
                                          for mode in modes) + "</p>"


def latency_plots(target, colours):
    groups = list(dict.fromkeys(result["group"] for result in target["results"] if result["group"]))
    for group in groups:
        lines = {}
        for result in target["results"]:
            if result["group"] == group:
                lines.setdefault(result["mode"], []).append(
                    (result["iops"]["median"], result["mean_us"]["median"], result["depth"]))
        series = [(mode, colours[mode], [point for point in line if point[0] > 0 and point[1] > 0])
                  for mode, line in lines.items()]
        series = [entry for entry in series if entry[2]]
        if series:
            title = f"{group}: latency against IOPS"
            yield (f"<h3>{escape(title)}</h3>{legend(lines, colours)}{svg.latency_plot(series, title)}"
                   '<p class="soft">Each line joins the depths of one mode; right and low is better.</p>')


def ratio_plots(report, target, colours):
    marks = {load: entry["ratio"] for entry in report["published"] for load in entry["loads"]}
    for load in dict.fromkeys(result["load"] for result in target["results"]):
        bars = []
        for result in target["results"]:
            if result["load"] == load and "ratio_to_sync" in result:
                found = result["ratio_to_sync"]
                bars.append((result["mode"], colours[result["mode"]], found["median"],
                             min(found["values"]), max(found["values"])))
        if len(bars) > 1:
            yield f"<h3>{escape(load)}: times sync</h3>{svg.bar_plot(bars, load, marks.get(load))}"


def published(report, target):
    rows = [(what, f"{theirs:.2f} x", f"{ours['median']:.2f} x ±{100 * ours['spread']:.0f} %", load, mode)
            for what, theirs, load, mode, ours in text.published(report, target)]
    if not rows:
        return ""
    return ("<h3>io_uring against synchronous I/O: published, and here</h3>" +
            table(("", "published", "here", "load", "best mode"), rows))


def all_results(target):
    rows = [(f"{result['load']}: {result['mode']}", f"{result['iops']['median']:,.0f}",
             f"±{100 * result['iops']['spread']:.0f} %", f"{result['bytes_per_s']['median'] / 2**20:,.1f}",
             f"{result['mean_us']['median']:,.1f}", f"{result['p99_us']['median']:,.1f}",
             f"{result['cpu_us']['median']:.2f}", text.ratio(result)) for result in target["results"]]
    return "<h3>All results</h3>" + table(("", "IOPS", "spread", "MiB/s", "mean us", "p99 us", "CPU us per I/O",
                                           "to sync"), rows)


def section(report, target):
    colours = {mode["name"]: index for index, mode in enumerate(target["modes"])}
    about = [("kind", target["kind"]), ("size", text.size(target["size_bytes"])),
             ("written to", "yes" if target["written"] else "no, only read")]
    about += [(name, value) for name, value in target["facts"].items() if value]
    about += [(f"without {mode['name']}", mode["reason"]) for mode in target["modes"] if not mode["works"]]
    return "".join([f"<h2>{escape(target['path'])}</h2>", facts(about), published(report, target),
                    *latency_plots(target, colours), *ratio_plots(report, target, colours), all_results(target)])


def page(report):
    machine, settings = report["machine"], report["settings"]
    about = [("CPU", f"{machine['cpu']}, {machine['cpus']} CPUs"), ("kernel", machine["kernel"]),
             ("when", report["time"]),
             ("settings", f"{settings['rounds']} interleaved rounds of {settings['seconds']} s, reactors on CPUs "
                          f"{settings['cpus']}, poll {settings['poll']}"),
             ("figures", "medians of the rounds; ratios taken within each round; spread between the quartiles; "
                         "the stroke on a bar reaches from the least to the most")]
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
            '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
            f"<title>I/O drivers compared</title><style>{style()}</style></head><body>"
            f"<h1>I/O drivers compared</h1>{facts(about)}"
            f'{"".join(section(report, target) for target in report["targets"])}</body></html>\n')
