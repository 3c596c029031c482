"""What vsa validate writes.

usage: check_validate.py json FILE MODE       MODE: executed or compiled; all cases pass
       check_validate.py html JSON PAGE       the page names every device, case and kernel
       check_validate.py cannot FILE TEXT     one device that is refused for TEXT
"""
import html
import json
import math
import sys

CASE_FIELDS = {"name", "status", "error", "detail"}
PIPELINE_FIELDS = {"name", "spills", "scratch", "registers", "shared", "waves"}


def check(condition, *what):
    if not condition:
        sys.exit("check_validate: " + " ".join(str(w) for w in what))


def read(path):
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)


def check_case(case, executed):
    check(CASE_FIELDS <= case.keys(), "fields of", case)
    check(case["status"] in ("passed", "skipped"), case)
    if executed and case["status"] == "passed":
        check(0 <= case["error"] < 1e-5, "error of", case)
        check(case["rows"] > 0 and case["gpu_ms"] >= 0, "rows and time of", case)
        check(bool(case["kernels"]) == (case["gpu_ms"] > 0), "kernels of", case)
        check(all(ms >= 0 for ms in case["kernels"].values()), "times of the kernels of", case)
    else:
        check(case["error"] is None, "nothing was compared in", case)


def check_pipeline(pipeline):
    check(PIPELINE_FIELDS <= pipeline.keys(), "fields of", pipeline)
    for field in PIPELINE_FIELDS - {"name"}:
        value = pipeline[field]
        check(value is None or (math.isfinite(value) and value >= 0), field, "of", pipeline)


def check_kernels(device):
    total = {}
    for case in device["cases"]:
        for kernel, ms in case.get("kernels", {}).items():
            total[kernel] = total.get(kernel, 0) + ms
    told = {kernel["kernel"]: kernel["ms"] for kernel in device["kernels"]}
    check(told.keys() == total.keys(), "kernels:", told.keys(), total.keys())
    for kernel, ms in total.items():
        check(math.isclose(told[kernel], ms, rel_tol=1e-6, abs_tol=1e-9), kernel, told[kernel], ms)
    check(list(told.values()) == sorted(told.values(), reverse=True), "order of the kernels")


def check_json(path, mode):
    devices = read(path)["devices"]
    check(devices, "no device in", path)
    for device in devices:
        check({"name", "driver", "verdict", "cases", "pipelines"} <= device.keys(), device.keys())
        check(device["verdict"] in ("works", "slow"), device["verdict"])
        check(device["executed"] == (mode == "executed"), mode)
        check(bool(device["pipelines"]) == (mode == "compiled"), len(device["pipelines"]))
        names = [case["name"] for case in device["cases"]]
        check(names and len(set(names)) == len(names), "names of cases:", names)
        for case in device["cases"]:
            check_case(case, mode == "executed")
        check_kernels(device)
        for pipeline in device["pipelines"]:
            check_pipeline(pipeline)
            check(pipeline["name"].rsplit("/", 1)[0] in names, pipeline)


def check_html(path, page):
    with open(page, encoding="utf-8") as stream:
        text = stream.read()
    check("<script" not in text and "http" not in text, "the page is not self-contained")
    for device in read(path)["devices"]:
        for word in [device["name"], device["driver"]] + [c["name"] for c in device["cases"]] + \
                [k["kernel"] for k in device["kernels"]]:
            check(html.escape(word) in text, word, "is not on the page")


def check_cannot(path, text):
    (device,) = read(path)["devices"]
    check(device["verdict"] == "cannot", device["verdict"])
    check(any(text in reason for reason in device["missing"]), device["missing"])
    check(not device["cases"] and not device["pipelines"], "something ran")


if __name__ == "__main__":
    {"json": check_json, "html": check_html, "cannot": check_cannot}[sys.argv[1]](*sys.argv[2:])
