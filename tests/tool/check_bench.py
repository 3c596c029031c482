#!/usr/bin/env python3
"""Checks of what `vsa bench` printed and wrote. Exit code 1 and a sentence when one fails.

check_bench.py json FILE METHOD/SCORER/TOKENS...   the object, and exactly these rows in order
check_bench.py csv JSON FILE                        the same rows as the JSON object's
check_bench.py html JSON FILE                       a page that needs nothing else
check_bench.py same JSON JSON                       the second's rows as in the first, but for times
check_bench.py tuned FILE METHOD...                 the object of --tune
check_bench.py kernels FILE                         every row tells its kernels
check_bench.py startup FILE                         the object of --startup
"""
import csv
import html.parser
import json
import math
import sys

STAGES = ["append", "score", "select", "sample", "attend", "combine", "fallback"]
ROW = ["method", "scorer", "tokens", "gpu_ms", "gpu_ms_min", "gpu_ms_max", "wall_ms", "bytes",
       "density", "error_mean", "certified_mean", "missed", "stages", "stage_bytes", "error_rows",
       "rows", "met", "exact", "invalid", "speedup"]


def expect(condition, text):
    if not condition:
        sys.exit(text)


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def check_row(row):
    name = f"{row['method']}/{row['scorer']}/{row['tokens']}"
    for key in ROW:
        expect(key in row, f"{name}: no {key}")
    expect(0 < row["gpu_ms_min"] <= row["gpu_ms"] <= row["gpu_ms_max"], f"{name}: GPU times")
    expect(row["wall_ms"] > 0.5 * row["gpu_ms_min"], f"{name}: wall time")
    expect(set(row["stages"]) <= set(STAGES), f"{name}: stages {list(row['stages'])}")
    expect(all(0 < ms <= row["gpu_ms_max"] for ms in row["stages"].values()), f"{name}: stages")
    expect(math.isclose(sum(row["stage_bytes"].values()), row["bytes"], rel_tol=1e-9),
           f"{name}: stage_bytes {row['stage_bytes']} are not {row['bytes']}")
    expect(row["met"] + row["exact"] + row["missed"] + row["invalid"] == row["rows"],
           f"{name}: statuses")
    expect(0 < row["error_rows"] <= row["rows"], f"{name}: rows that were compared")
    expect(0 <= row["error_mean"] < 1 and row["invalid"] == 0, f"{name}: error")
    if "kernels" in row:
        ms = list(row["kernels"].values())
        wanted = {"dense": "attend_dense", "guided": "combine_guided"}.get(row["method"], "combine")
        expect(wanted in row["kernels"] and "append" in row["kernels"], f"{name}: {row['kernels']}")
        expect(all(x >= 0 for x in ms) and ms == sorted(ms, reverse=True), f"{name}: kernels {ms}")
    if row["method"] == "dense":
        expect(row["error_mean"] < 1e-5 and row["certified_mean"] == 0 and row["density"] == 1,
               f"{name}: is not exact")
        expect(row["bytes"] == row["bytes_dense"] and row["speedup"] == 1, f"{name}: bytes")
        expect(list(row["stage_bytes"]) == ["attend"], f"{name}: {row['stage_bytes']}")
    elif row["method"] in ("topk", "topp"):
        expect(row["certified_mean"] is None, f"{name}: has a certificate")
    else:
        expect(row["missed"] == 0 and row["certified_mean"] >= 0, f"{name}: promises")
        # A row may miss with probability delta; the mean is well below epsilon.
        expect(row["error_mean"] < 0.12, f"{name}: error {row['error_mean']}")


def check_json(path, *names):
    data = load(path)
    for key in ("device", "driver", "copy_gbps", "rows", "costs", "left_out"):
        expect(key in data, f"no {key}")
    expect(data["copy_gbps"] > 0, "copy_gbps")
    expect([f"{r['method']}/{r['scorer']}/{r['tokens']}" for r in data["rows"]] == list(names),
           f"rows are {[(r['method'], r['scorer'], r['tokens']) for r in data['rows']]}")
    for row in data["rows"]:
        check_row(row)
    for cost in data["costs"]:
        if cost["lengths"] >= 2:
            expect(math.isfinite(cost["exponent"]), f"exponent of {cost}")
        else:
            expect(cost["exponent"] is None, f"exponent of one length: {cost}")
        if cost["lengths"] >= 3:
            expect(cost["fixed_us"] >= 0 and cost["ns_per_token"] >= 0, f"{cost}")
        else:
            expect(cost["fixed_us"] is None, f"{cost}")
    for left in data["left_out"]:
        expect(left["what"] and left["reason"], f"left out: {left}")


def check_kernels(path):
    data = load(path)
    expect(data["rows"] and all("kernels" in row for row in data["rows"]), "rows without kernels")
    for row in data["rows"]:
        check_row(row)


def check_csv(json_path, path):
    rows = load(json_path)["rows"]
    with open(path, encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    expect(len(lines) == len(rows), f"{len(lines)} lines for {len(rows)} rows")
    for line, row in zip(lines, rows):
        expect(None not in line and None not in line.values(), f"columns of {line}")
        for key in ("method", "scorer"):
            expect(line[key] == row[key], f"{key}: {line[key]}")
        for key in ("tokens", "gpu_ms", "wall_ms", "bytes", "density", "error_mean",
                    "certified_mean", "missed"):
            expect(float(line[key]) == 0 if row[key] == 0 else
                   line[key] == "" if row[key] is None else
                   math.isclose(float(line[key]), row[key], rel_tol=1e-8),
                   f"{key}: {line[key]} is not {row[key]}")
        for stage, ms in row["stages"].items():
            expect(math.isclose(float(line[f"{stage}_ms"]), ms, rel_tol=1e-8), f"{stage}_ms")


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.captions, self.open, self.cells = [], [], 0

    def handle_starttag(self, tag, attributes):
        expect(tag not in ("script", "link", "img", "iframe", "object"), f"<{tag}>")
        for name, value in attributes:
            expect(name not in ("src", "href", "srcset"), f"{tag} {name}={value}")
        self.cells += tag == "td"
        if tag not in ("meta", "path", "circle", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in ("path", "circle", "rect"):
            return
        expect(self.open and self.open.pop() == tag, f"</{tag}> closes something else")

    def handle_data(self, data):
        if self.open and self.open[-1] == "figcaption":
            self.captions.append(data)


def check_html(json_path, path):
    data = load(json_path)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for reference in ("http:", "https:", "url(", "@import", "//"):
        expect(reference not in text.replace("<!DOCTYPE", ""), f"the page has {reference}")
    expect("nan" not in text.replace("finance", "") and "inf<" not in text, "not a number")
    page = Page()
    page.feed(text)
    page.close()
    expect(not page.open, f"not closed: {page.open}")
    lengths = sorted({row["tokens"] for row in data["rows"]})
    for caption in ["Time of a step against length", "Speed-up over dense against length",
                    "Error against length", "Roofline: time against bytes",
                    "Error against time"] + [f"Stages at {n} tokens" for n in lengths]:
        expect(caption in page.captions, f"no figure '{caption}': {page.captions}")
    expect(page.cells >= 2 * len(data["rows"]), "the tables are too small")
    for left in data["left_out"]:
        expect("Left out" in text, "what was left out is not told")


def check_same(first, second):
    rows = {(r["method"], r["scorer"], r["tokens"]): r for r in load(first)["rows"]}
    for row in load(second)["rows"]:
        known = rows[row["method"], row["scorer"], row["tokens"]]
        for key in ("bytes", "density", "error_mean", "error_max", "certified_mean", "met",
                    "exact", "missed"):
            expect(row[key] == known[key], f"{key} of {row['method']} is {row[key]}, {known[key]}")


def check_tuned(path, *methods):
    tuned = load(path)["tuned"]
    expect([one["method"] for one in tuned] == list(methods), f"{tuned}")
    for one in tuned:
        expect(one["tried"] > 3 and one["refused"] < one["tried"], f"{one}")
        expect(one["gain_p25"] <= one["gain"] <= one["gain_p75"], f"{one}")
        expect(one["changed"] == (one["start"] != one["best"]), f"{one}")
        expect(not one["changed"] or one["gain"] > 1, f"{one}")


def check_startup(path):
    rows = load(path)["rows"]
    expect([(r["cache"], r["threads"]) for r in rows] ==
           [(cache, threads) for threads in (1, 2) for cache in ("none", "cold", "warm")], f"{rows}")
    for row in rows:
        expect(0 < row["plan_ms_min"] <= row["plan_ms"] <= row["plan_ms_max"], f"{row}")
        expect(row["context_ms"] > 0, f"{row}")


if __name__ == "__main__":
    {"json": check_json, "csv": check_csv, "html": check_html, "same": check_same,
     "tuned": check_tuned, "kernels": check_kernels, "startup": check_startup}[sys.argv[1]](*sys.argv[2:])
