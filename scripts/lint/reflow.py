#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Wrap C comments at 100 columns, which clang-format is told to leave alone: block comments on lines
of their own, paragraph by paragraph, where a line is too long. Drawings and comments behind code are for you."""
import argparse
import re
import textwrap

WIDTH = 100
KEPT_BLANK = "\x01"  # stands for a blank within a line, where words are aligned


def width(line):
    return len(line.expandtabs(8))


def continuation(texts):
    """Indent of a paragraph's second line."""
    if len(texts) > 1:
        return re.match(r" *", texts[1])[0]
    item = re.match(r" +\S+ {2,}", texts[0])  # a row of a list: "  group    what it is"
    if item:
        return " " * len(item[0])
    return "  " if texts[0].startswith("\\param") else re.match(r" *", texts[0])[0]


def wrap_paragraph(lines, tabs):
    drawn = any(re.search(r"-->| -> |<--|\*.*\t", line) for line in lines)
    if drawn or all(width(line) <= WIDTH for line in lines):
        return lines
    texts = [re.match(r"^\t* \* ?(.*)$", line)[1] for line in lines]
    text = " ".join([texts[0].rstrip()] + [t.strip() for t in texts[1:]])
    text = re.sub(r"(?<=\S) {2,}(?=\S)", lambda m: KEPT_BLANK * len(m[0]), text.lstrip())
    wrapped = textwrap.wrap(text, WIDTH - width(tabs) - 3, initial_indent=re.match(r" *", texts[0])[0],
                            subsequent_indent=continuation(texts), break_long_words=False, break_on_hyphens=False)
    return [f"{tabs} * {line}".replace(KEPT_BLANK, " ").rstrip() for line in wrapped]


def wrap_block(lines):
    """A comment from its "/*" to its "*/", each on a line of its own."""
    tabs = re.match(r"\t*", lines[0])[0]
    out, paragraph = [lines[0]], []
    for line in lines[1:-1]:
        text = re.match(r"^\t* \* ?(.*)$", line)
        if text is None:
            return lines  # not in our form
        starts = not text[1].strip() or re.match(r"\\| {2}\S+ {2}|[-0-9]+[ .]|\t", text[1])
        if starts or (paragraph and len(paragraph[-1]) < len(tabs) + 40):
            out += wrap_paragraph(paragraph, tabs)
            paragraph = []
        if text[1].strip():
            paragraph.append(line)
        else:
            out.append(line)
    return out + wrap_paragraph(paragraph, tabs) + [lines[-1]]


def reflow(text):
    lines, out, i = text.split("\n"), [], 0
    while i < len(lines):
        single = re.match(r"^(\t*)(/\*\*?) (.*) \*/$", lines[i])
        if re.match(r"^\t*/\*\*?$", lines[i]):
            end = next(j for j in range(i, len(lines)) if "*/" in lines[j])
            out += wrap_block(lines[i:end + 1])
            i = end
        elif single and width(lines[i]) > WIDTH:
            tabs = single[1]
            out += wrap_block([tabs + single[2], f"{tabs} * {single[3]}", f"{tabs} */"])
        else:
            out.append(lines[i])
        i += 1
    return "\n".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, epilog="example: scripts/lint/reflow.py lib/util/*.c")
    parser.add_argument("files", nargs="+", metavar="FILE")
    for name in parser.parse_args().files:
        with open(name, encoding="utf-8") as file:
            old = file.read()
        new = reflow(old)
        if new != old:
            with open(name, "w", encoding="utf-8") as file:
                file.write(new)


if __name__ == "__main__":
    main()
