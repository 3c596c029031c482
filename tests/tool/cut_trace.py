#!/usr/bin/env python3
"""Writes a trace with the last QUERIES queries of every layer only.

usage: cut_trace.py INPUT OUTPUT QUERIES
"""
import json
import struct
import sys

ELEMENT = 2  # F16


def main(source, target, kept):
    with open(source, "rb") as file:
        content = file.read()
    (size,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8:8 + size]), content[8 + size:]
    cut, out = {"__metadata__": header.pop("__metadata__")}, b""
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values, (heads, rows, dim) = data[begin:end], entry["shape"]
        if name.startswith("q."):
            row = dim * ELEMENT
            values = b"".join(values[(h * rows + rows - kept) * row:(h + 1) * rows * row]
                              for h in range(heads))
            rows = kept
        cut[name] = {"dtype": entry["dtype"], "shape": [heads, rows, dim],
                     "data_offsets": [len(out), len(out) + len(values)]}
        out += values
    text = json.dumps(cut).encode()
    text += b" " * (-len(text) % 8)
    with open(target, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + out)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
