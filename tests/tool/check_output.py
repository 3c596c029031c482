#!/usr/bin/env python3
"""Checks what the tool printed and wrote, with the standard library only.

usage: check_output.py devices JSON
       check_output.py summary attend|decode JSON ROWS
       check_output.py dense INPUT OUTPUT           a few rows against float64
       check_output.py attend INPUT OUTPUT DENSE EPSILON DELTA METHOD
       check_output.py indices INPUT OUTPUT
       check_output.py equal FILE FILE TENSOR...    the same bytes
"""
import array
import json
import math
import struct
import sys

SUMMARY = {
    "device": str, "driver": str, "method": str, "scorer": str, "bound": str, "target": str,
    "epsilon": float, "delta": float, "rows": int, "density": float, "bytes_read": int,
    "bytes_dense": int, "met": int, "exact": int, "missed": int, "invalid": int, "gpu_ms": float,
    "unattainable": int, "heavy_sample": int, "bound_broken": int, "floored": int,
    "gathered_tokens": int, "value_floor": float,
}
DECODE = {"tokens": int, "tokens_per_second": float, "error_mean": float, "error_p95": float,
          "error_max": float, "coverage": float}
EXACT, MET, MISSED = 1, 2, 3
DENSE_FLAGS, ALL_FLAGS = 7, 15  # unattainable, heavy sample, bound broken; and floored


def binomial_tail(successes, trials, rate):
    """P(X >= successes): the promise is refuted when this many failures are below 1% likely."""
    return sum(math.comb(trials, i) * rate**i * (1 - rate)**(trials - i)
               for i in range(successes, trials + 1))


def require(condition, message):
    if not condition:
        sys.exit(f"check_output: {message}")


class Tensors:
    """A safetensors file; values come as flat sequences of numbers."""

    def __init__(self, path):
        with open(path, "rb") as file:
            content = file.read()
        (size,) = struct.unpack("<Q", content[:8])
        self.aligned = size % 8 == 0
        self.header = json.loads(content[8:8 + size])
        self.metadata = self.header.pop("__metadata__", {})
        self.data = content[8 + size:]
        require(sum(e["data_offsets"][1] - e["data_offsets"][0] for e in self.header.values())
                == len(self.data), f"{path}: bytes without a tensor")

    def shape(self, name):
        return self.header[name]["shape"]

    def bytes(self, name):
        begin, end = self.header[name]["data_offsets"]
        return self.data[begin:end]

    def values(self, name):
        code = {"F32": "f", "I32": "i", "F16": "e"}[self.header[name]["dtype"]]
        content = self.bytes(name)
        if code == "e":
            return struct.unpack(f"<{len(content) // 2}e", content)
        return array.array(code, content)

    def layers(self, name):
        return [i for i in range(1000) if f"{name}.{i}" in self.header]


def check_fields(fields, found):
    for name, kind in fields.items():
        require(name in found, f"no field {name}")
        value = found[name]
        good = isinstance(value, kind) or (kind is float and isinstance(value, int))
        require(good and not isinstance(value, bool), f"field {name} is {value!r}")


def devices(path):
    with open(path, encoding="utf-8") as file:
        listed = json.load(file)["devices"]
    require(listed, "no device")
    for i, device in enumerate(listed):
        check_fields({"index": int, "name": str, "driver": str, "type": str, "verdict": str,
                      "missing": list, "slow": list}, device)
        require(device["index"] == i, "devices are not in order")
        require(device["verdict"] in ("works", "slow", "cannot"), device["verdict"])


def summary(command, path, rows):
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    check_fields(SUMMARY, found)
    require(found["rows"] == int(rows), f"{found['rows']} rows, not {rows}")
    require(found["met"] + found["exact"] + found["missed"] + found["invalid"] == found["rows"],
            f"the rows do not add up: {found}")
    require(0 < found["density"] <= 1, f"density {found['density']}")
    require(0 < found["bytes_read"], "no byte was read")
    if command == "decode":
        check_fields(DECODE, found)
        require(found["tokens_per_second"] > 0, "no speed")
        require(found["error_mean"] <= found["error_max"], "mean above maximum")
        if found["method"] == "dense":
            require(found["error_max"] < 1e-4, f"dense is off by {found['error_max']}")
        elif found["missed"] == 0:
            failures = round((1 - found["coverage"]) * found["rows"])
            require(binomial_tail(failures, found["rows"], found["delta"]) >= 0.01,
                    f"coverage {found['coverage']} of {found['rows']} rows")


def dense(input_path, output_path):
    source, result = Tensors(input_path), Tensors(output_path)
    require(result.aligned, "the data is not aligned")
    given = source.metadata.get("softmax_scale")
    for index in source.layers("q"):
        k, v, q = (source.values(f"{name}.{index}") for name in "kvq")
        kv_heads, tokens, dim = source.shape(f"k.{index}")
        q_heads, queries, _ = source.shape(f"q.{index}")
        scale = float(given) if given else dim ** -0.5
        width = source.shape(f"v.{index}")[2]
        out, log_d = result.values(f"out.{index}"), result.values(f"log_normaliser.{index}")
        for head, query in ((0, 0), (q_heads - 1, queries - 1), (1, queries // 2)):
            length = tokens - queries + 1 + query
            row, kv_head = head * queries + query, head // (q_heads // kv_heads)
            base, v_base = kv_head * tokens * dim, kv_head * tokens * width
            own = q[row * dim:(row + 1) * dim]
            keys = (k[base + i * dim:base + (i + 1) * dim] for i in range(length))
            logits = [scale * sum(a * b for a, b in zip(own, key)) for key in keys]
            largest = max(logits)
            weights = [math.exp(s - largest) for s in logits]
            total = sum(weights)
            expected = [sum(w * v[v_base + i * width + c] for i, w in enumerate(weights)) / total
                        for c in range(width)]
            error = relative(out[row * width:(row + 1) * width], expected)
            require(error < 1e-4, f"layer {index} head {head} query {query}: off by {error}")
            require(abs(log_d[row] - largest - math.log(total)) < 1e-4,
                    f"layer {index} head {head} query {query}: log D {log_d[row]}")


def relative(values, reference):
    norm = math.sqrt(sum(b * b for b in reference))
    return math.sqrt(sum((a - b) ** 2 for a, b in zip(values, reference))) / norm


def attend(input_path, output_path, dense_path, epsilon, delta, method):
    source, result, exact = Tensors(input_path), Tensors(output_path), Tensors(dense_path)
    epsilon, delta = float(epsilon), float(delta)
    require(result.metadata.get("method") == method, "no method in the metadata")
    rows = above = 0
    for index in source.layers("q"):
        heads, queries, _ = source.shape(f"q.{index}")
        tokens = source.shape(f"k.{index}")[1]
        dim = source.shape(f"v.{index}")[2]
        require(result.shape(f"out.{index}") == [heads, queries, dim], "shape of out")
        for name in ("status", "exact_tokens", "sampled_tokens", "wanted_samples", "error_bound",
                     "log_normaliser", "flags", "gathered_tokens", "normaliser_bound"):
            require(result.shape(f"{name}.{index}") == [heads, queries], f"shape of {name}")
        out, reference = result.values(f"out.{index}"), exact.values(f"out.{index}")
        status, bound = result.values(f"status.{index}"), result.values(f"error_bound.{index}")
        read = result.values(f"exact_tokens.{index}")
        sampled = result.values(f"sampled_tokens.{index}")
        flags = result.values(f"flags.{index}")
        gathered = result.values(f"gathered_tokens.{index}")
        normaliser = result.values(f"normaliser_bound.{index}")
        for row in range(heads * queries):
            length = tokens - queries + 1 + row % queries
            require(0 <= flags[row] <= ALL_FLAGS, f"flags {flags[row]}")
            require(flags[row] & DENSE_FLAGS == 0 or status[row] == EXACT,
                    f"flags {flags[row]}, but not dense")
            require(normaliser[row] >= 0, f"normaliser bound {normaliser[row]}")
            require(status[row] in (EXACT, MET, MISSED), f"status {status[row]}")
            require(0 < read[row] + sampled[row] <= length, "more tokens than there are")
            error = relative(out[row * dim:(row + 1) * dim], reference[row * dim:(row + 1) * dim])
            if status[row] == EXACT:
                require(read[row] == length and bound[row] == 0, "EXACT, but not all was read")
                require(error < 1e-4, f"EXACT, but off by {error}")
                require(normaliser[row] == 0, f"EXACT, but D is off by {normaliser[row]}")
            elif status[row] == MET:
                require(bound[row] <= epsilon * 1.000001, f"MET with a bound of {bound[row]}")
                require(gathered[row] >= read[row] + sampled[row], f"{gathered[row]} gathered")
            rows += 1
            above += error > epsilon + 2e-6
    require(above <= delta * rows, f"{above} of {rows} rows are above epsilon")


def indices(input_path, output_path):
    source, result = Tensors(input_path), Tensors(output_path)
    for index in source.layers("q"):
        heads, queries, capacity = result.shape(f"indices.{index}")
        tokens = source.shape(f"k.{index}")[1]
        read = result.values(f"exact_tokens.{index}")
        sampled = result.values(f"sampled_tokens.{index}")
        listed = result.values(f"indices.{index}")
        require(capacity == max(a + b for a, b in zip(read, sampled)), "capacity")
        for row in range(heads * queries):
            own = listed[row * capacity:(row + 1) * capacity]
            count = read[row] + sampled[row]
            exact_set, draws = own[:read[row]], own[read[row]:count]
            length = tokens - queries + 1 + row % queries
            require(all(a < b for a, b in zip(exact_set, exact_set[1:])), "exact set not ascending")
            require(all(0 <= i < length for i in own[:count]), "index out of range")
            require(len(set(own[:count])) == count, "an index occurs twice")
            require(all(i == -1 for i in own[count:]), "not padded with -1")


def equal(first, second, *names):
    first, second = Tensors(first), Tensors(second)
    for name in names or first.header:
        require(first.bytes(name) == second.bytes(name), f"{name} differs")


if __name__ == "__main__":
    {"devices": devices, "summary": summary, "dense": dense, "attend": attend, "indices": indices,
     "equal": equal}[sys.argv[1]](*sys.argv[2:])
