#!/usr/bin/env python3
"""Checks what `vsa eval` printed and wrote, with the standard library only.

usage: check_eval.py json JSON INPUT ROWS       fields, types and ranges
       check_eval.py density JSON               the rows of --density have their densities
       check_eval.py csv JSON CSV               the same rows
       check_eval.py html JSON HTML             one self-contained page
       check_eval.py smaller JSON JSON          the first has smaller errors
       check_eval.py attend JSON ATTEND-JSON    the case that attend ran, to the byte
"""
import csv
import html.parser
import json
import sys

from check_output import check_fields, require

# Stable: scripts rely on them. Fields may be added.
ROW = {"method": str, "scorer": str, "bound": str, "target": str, "epsilon": float,
       "delta": float, "density": float, "bytes_read": int, "bytes_dense": int,
       "error_mean": float, "error_p95": float, "error_max": float, "coverage": float}
COUNTS = {"rows": int, "met": int, "exact": int, "missed": int, "invalid": int,
          "unattainable": int, "heavy_sample": int, "bound_broken": int, "floored": int,
          "gathered_tokens": int, "sink": int, "window": int}
HEAD = {"layer": int, "head": int, "samples_mean": float, "samples_p5": float,
        "samples_p95": float}
WITH_GUARANTEE = ("sample", "vattention", "guided")
VOID = ("meta", "br", "hr", "img", "input", "link")


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def check_row(row):
    check_fields(ROW, row)
    check_fields(COUNTS, row)
    name = f"{row['method']} {row['target']} epsilon {row['epsilon']}"
    require("certified_mean" in row, f"{name}: no certified_mean")
    require(row["met"] + row["exact"] + row["missed"] + row["invalid"] == row["rows"],
            f"{name}: the rows do not add up")
    require(0 < row["density"] <= 1, f"{name}: density {row['density']}")
    require(row["error_mean"] <= row["error_max"] and row["error_p95"] <= row["error_max"],
            f"{name}: errors are not in order")
    require(("heads" in row) == (row["method"] in WITH_GUARANTEE), f"{name}: heads")
    for head in row.get("heads", []):
        check_fields(HEAD, head)
        require(head["samples_p5"] <= head["samples_p95"], f"{name}: budgets {head}")
    if row["method"] == "dense":
        require(row["density"] == 1 and row["error_max"] < 1e-4, f"{name}: not exact")
    elif row["method"] in WITH_GUARANTEE:
        require(row["certified_mean"] is not None, f"{name}: nothing certified")
        require(row["met"] == 0 or row["certified_max"] <= row["epsilon"] * 1.000001
                or row["missed"] > 0, f"{name}: certified {row['certified_max']}")
    else:
        require(row["certified_mean"] is None and row["missed"] == row["rows"],
                f"{name}: a certificate without a guarantee")


def check_json(path, name, rows):
    found = load(path)
    check_fields({"input": str, "rows": list}, found)
    require(found["input"] == name, f"input is {found['input']}")
    require(len(found["rows"]) == int(rows), f"{len(found['rows'])} rows, not {rows}")
    for row in found["rows"]:
        check_row(row)


def check_density(path):
    for row in load(path)["rows"]:
        check_row(row)
        require(row["target"] == "output", f"target {row['target']}")
        require(abs(row["density"] / row["at_density"] - 1) <= 0.02,
                f"{row['method']}: density {row['density']}, not {row['at_density']}")


def check_csv(json_path, csv_path):
    rows = load(json_path)["rows"]
    with open(csv_path, encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file))
    require(len(listed) == len(rows), f"{len(listed)} rows, not {len(rows)}")
    for row, line in zip(rows, listed):
        row.pop("heads", None)
        require(set(row) == set(line), f"columns differ: {set(row) ^ set(line)}")
        for name, value in row.items():
            text = line[name]
            same = text == ("" if value is None else value) if value is None or \
                isinstance(value, str) else abs(float(text) - value) <= 1e-7 * abs(value)
            require(same, f"{name} is {text!r}, not {value!r}")


class Page(html.parser.HTMLParser):
    """Collects what is in the page; tags must nest."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.count, self.text = [], {}, []

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        for name, value in attrs:
            require(name not in ("src", "href", "xlink:href") and "url(" not in (value or ""),
                    f"the page refers to {value}")
            require("nan" not in (value or "") and "inf" not in (value or "").split(),
                    f"<{tag}> has {name}={value!r}")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        require(self.open and self.open.pop() == tag, f"</{tag}> does not nest")

    def handle_data(self, data):
        self.text.append(data)


def check_html(json_path, html_path):
    found = load(json_path)
    with open(html_path, encoding="utf-8") as file:
        content = file.read()
    page = Page()
    page.feed(content)
    page.close()
    require(not page.open, f"not closed: {page.open}")
    text = " ".join(page.text)
    for expected in (found["input"], found["device"], found["driver"], "vsa eval "):
        require(expected in text, f"the page does not say '{expected}'")
    require("script" not in page.count, "the page has a script")
    require("http" not in content, "the page names a network address")
    require("prefers-color-scheme" in content, "no dark scheme")
    with_budgets = any(row["method"] in WITH_GUARANTEE for row in found["rows"])
    require(page.count.get("figure", 0) >= (4 if with_budgets else 2), f"{page.count.get('figure', 0)} plots")
    require(content.count('class="mark"') < 8000, "too many dots")
    require(page.count["tr"] == len(found["rows"]) + 1, "the table lacks rows")


def check_smaller(path, other_path):
    for row, other in zip(load(path)["rows"], load(other_path)["rows"]):
        require(row["density"] == other["density"] and row["error_max"] < other["error_max"],
                f"{row['error_max']}, not below {other['error_max']}")


def check_attend(json_path, attend_path):
    attend = load(attend_path)
    fields = ("method", "scorer", "bound", "target", "epsilon")
    rows = [row for row in load(json_path)["rows"]
            if all(row[name] == attend[name] for name in fields)]
    require(len(rows) == 1, f"{len(rows)} rows of that case")
    for name in ("rows", "density", "bytes_read", "bytes_dense", "met", "exact"):
        require(rows[0][name] == attend[name],
                f"{name} is {rows[0][name]}, attend has {attend[name]}")


if __name__ == "__main__":
    {"json": check_json, "density": check_density, "smaller": check_smaller, "csv": check_csv,
     "html": check_html, "attend": check_attend}[sys.argv[1]](*sys.argv[2:])
