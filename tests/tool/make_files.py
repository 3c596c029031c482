#!/usr/bin/env python3
"""Writes safetensors files with one mistake each, cases.txt beside them, and two good files.

usage: make_files.py DIRECTORY

Each line of cases.txt is FILE|TEXT: the tool must refuse FILE with one line that names the file and
holds TEXT. Only the standard library is used.
"""
import json
import os
import random
import struct
import sys

DIRECTORY = sys.argv[1]
CASES = []
TOKENS, QUERIES, KV_HEADS, Q_HEADS, DIM = 4, 2, 2, 4, 32
SIZES = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I32": 4, "U8": 1}


def tensor(shape, dtype="F16", value=None, at=0):
    """(dtype, shape, bytes): zeros, and `value` (the bytes of one element) at index `at`."""
    count = 1
    for dimension in shape:
        count *= dimension
    data = bytearray(count * SIZES[dtype])
    if value is not None:
        data[at * SIZES[dtype]:(at + 1) * SIZES[dtype]] = value
    return dtype, list(shape), bytes(data)


def layer(index=0, **changes):
    tensors = {
        "k": tensor((KV_HEADS, TOKENS, DIM)),
        "v": tensor((KV_HEADS, TOKENS, DIM)),
        "q": tensor((Q_HEADS, QUERIES, DIM)),
    }
    tensors.update(changes)
    return {f"{name}.{index}": value for name, value in tensors.items() if value is not None}


def entries(tensors):
    """Header entries and data, tightly packed."""
    header, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    return header, data


def write(name, content, text):
    with open(os.path.join(DIRECTORY, name), "wb") as file:
        file.write(content)
    if text is not None:
        CASES.append(f"{name}|{text}")


def pack(header, data, size=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def case(name, text, tensors, metadata=None, edit=None):
    """A whole file; `edit` may change the header's entries before they are written."""
    header, data = entries(tensors)
    if metadata is not None:
        header["__metadata__"] = metadata
    if edit:
        header = edit(header) or header
    write(name, pack(header, data), text)


def edit_k(**changes):
    def edit(header):
        for key, value in changes.items():
            if value is None:
                del header["k.0"][key]
            else:
                header["k.0"][key] = value
    return edit


def raw_header(old, new):
    """The header's text with one replacement, for what json.dumps cannot express."""
    header, data = entries(layer())
    text = json.dumps(header)
    assert old in text, old
    return pack(text.replace(old, new, 1).encode(), data)


GOOD_HEADER, GOOD_DATA = entries(layer())
GOOD = pack(GOOD_HEADER, GOOD_DATA)


def random_tensor(shape, dtype):
    count, code = 1, {"F16": "e", "F32": "f"}[dtype]
    for dimension in shape:
        count *= dimension
    return dtype, list(shape), struct.pack(f"<{count}{code}",
                                           *(RANDOM.gauss(0.25, 1) for _ in range(count)))


# Layers of different shapes and types, one with a query for every token; and a tensor that is none
# of the tool's business.
RANDOM = random.Random(1)
MIXED = {
    **layer(0, k=random_tensor((2, 200, 40), "F16"), v=random_tensor((2, 200, 96), "F32"),
            q=random_tensor((6, 3, 40), "F32")),
    **layer(1, k=random_tensor((1, 33, 32), "F32"), v=random_tensor((1, 33, 32), "F32"),
            q=random_tensor((3, 33, 32), "F16")),
    "other": tensor((3, 5), "U8"),
    "k.01": tensor((), "F64"),
}
K_BYTES = KV_HEADS * TOKENS * DIM * 2

# ---- not a safetensors file
write("good.safetensors", GOOD, None)
write("mixed.safetensors", pack(*entries(MIXED)), None)
write("empty", b"", "is empty")
write("short", b"\x10\0\0", "too short")
write("text", b"this is not a safetensors file at all\n", "header's size")
write("header_beyond_end", pack(GOOD_HEADER, b"", size=len(GOOD) * 2), "truncated")
write("header_huge", struct.pack("<Q", 2**63) + b"{}", "header's size")
write("header_all_ones", b"\xff" * 64, "header's size")
write("header_size_zero", struct.pack("<Q", 0) + b"{}", "not JSON")
write("truncated_header", GOOD[:60], "truncated")
write("truncated_data", GOOD[:-2], "tensor 'q.0'")
write("trailing_data", GOOD + b"\0\0", "belong to no tensor")
write("not_json", pack(b"{nothing}", b""), "not JSON")
write("json_cut", pack(b'{"k.0": {"dtype"', b""), "not JSON")
write("json_array", pack(b"[1, 2]", b""), "not a JSON object")
write("json_trailing", pack(b"{} {}", b""), "not JSON")
write("json_leading_blank", pack(b" {}", b""), "not a JSON object")
write("json_deep", pack(b"[" * 100000, b""), "not JSON")
write("json_nul", pack(b'{"a\0b": 1}', b""), "NUL")
write("json_escaped_nul", pack(b'{"k.0\\u0000x": 1}', b""), "NUL")
write("json_not_utf8", pack(b'{"k\xff": 1}', b""), "UTF-8")
write("no_tensors", pack(b"{}", b""), "tensor 'k.0'")
write("metadata_only", pack(b'{"__metadata__": {"a": "b"}}', b""), "tensor 'k.0'")

# ---- entries of the header
case("entry_number", "tensor 'k.0'", layer(), edit=lambda h: h.update({"k.0": 7}))
case("entry_null", "tensor 'k.0'", layer(), edit=lambda h: h.update({"k.0": None}))
case("dtype_missing", "tensor 'k.0': dtype is missing", layer(), edit=edit_k(dtype=None))
case("shape_missing", "tensor 'k.0': shape is missing", layer(), edit=edit_k(shape=None))
case("offsets_missing", "tensor 'k.0': data_offsets is missing", layer(),
     edit=edit_k(data_offsets=None))
case("dtype_number", "tensor 'k.0': dtype", layer(), edit=edit_k(dtype=16))
case("dtype_unknown", "tensor 'k.0': unknown dtype", layer(), edit=edit_k(dtype="F17"))
case("shape_string", "tensor 'k.0': shape", layer(), edit=edit_k(shape="2,4,32"))
case("shape_negative", "tensor 'k.0': shape", layer(), edit=edit_k(shape=[-2, 4, 32]))
case("shape_fraction", "tensor 'k.0': shape", layer(), edit=edit_k(shape=[2.5, 4, 32]))
case("shape_huge", "tensor 'k.0': shape", layer(), edit=edit_k(shape=[2, 4, 2**60]))
case("shape_overflow", "tensor 'k.0'", layer(), edit=edit_k(shape=[2**32, 2**32, 32]))
case("shape_overflow_to_size", "tensor 'k.0'", layer(), edit=edit_k(shape=[2**50, 2**14, 32]))
case("shape_text_entry", "tensor 'k.0': shape", layer(), edit=edit_k(shape=[2, "4", 32]))
case("offsets_one", "tensor 'k.0': data_offsets", layer(), edit=edit_k(data_offsets=[0]))
case("offsets_three", "tensor 'k.0': data_offsets", layer(),
     edit=edit_k(data_offsets=[0, K_BYTES, K_BYTES]))
case("offsets_negative", "tensor 'k.0': data_offsets", layer(),
     edit=edit_k(data_offsets=[-1, K_BYTES - 1]))
case("offsets_fraction", "tensor 'k.0': data_offsets", layer(),
     edit=edit_k(data_offsets=[0, K_BYTES + 0.5]))
case("offsets_backwards", "tensor 'k.0': data_offsets", layer(),
     edit=edit_k(data_offsets=[K_BYTES, 0]))
case("offsets_beyond", "tensor 'k.0': data_offsets", layer(),
     edit=edit_k(data_offsets=[2**40, 2**40 + K_BYTES]))
write("offsets_infinite", raw_header(f"[0, {K_BYTES}]", "[0, 1e999]"), "tensor 'k.0'")
write("offsets_exact_limit", raw_header(f"[0, {K_BYTES}]", "[0, 18446744073709551615]"),
      "tensor 'k.0'")
case("size_small", "tensor 'k.0': data_offsets", layer(), edit=edit_k(shape=[2, 3, 32]))
case("size_large", "tensor 'k.0': data_offsets", layer(), edit=edit_k(shape=[2, 5, 32]))
case("size_dtype", "tensor 'k.0': data_offsets", layer(), edit=edit_k(dtype="F32"))
case("overlap", "overlaps", layer(),
     edit=lambda h: h["v.0"].update(data_offsets=[K_BYTES - 64, 2 * K_BYTES - 64]))
case("same_place", "overlaps", layer(), edit=lambda h: h["v.0"].update(data_offsets=[0, K_BYTES]))
write("hole", pack({"k.0": GOOD_HEADER["k.0"],
                    "q.0": {"dtype": "F16", "shape": [Q_HEADS, QUERIES, DIM],
                            "data_offsets": [2 * K_BYTES,
                                             2 * K_BYTES + Q_HEADS * QUERIES * DIM * 2]}},
                   GOOD_DATA), "tensor 'q.0'")
write("duplicate_name", raw_header('"v.0"', '"k.0"'), "tensor 'k.0'")
write("duplicate_key", raw_header('"dtype": "F16"', '"dtype": "F16", "dtype": "F16"'),
      "tensor 'k.0'")
write("name_with_newline", raw_header('"dtype": "F16"', '"dtype": "F\\n16"'), "tensor 'k.0'")

# ---- metadata
case("metadata_list", "__metadata__", layer(), metadata=[1])
case("metadata_number", "metadata 'softmax_scale'", layer(), metadata={"softmax_scale": 0.125})
for name, value in {"word": "one", "empty": "", "zero": "0", "negative": "-0.125", "nan": "nan",
                    "infinite": "inf", "overflow": "1e39", "underflow": "1e-60", "blank": " 0.125",
                    "tail": "0.125x", "hexadecimal": "0x1p-3"}.items():
    case(f"scale_{name}", "metadata 'softmax_scale'", layer(), metadata={"softmax_scale": value})

# ---- layers and shapes
for name in "kvq":
    case(f"missing_{name}", f"tensor '{name}.0'", layer(**{name: None}))
case("missing_layer_0", "tensor 'k.1'", layer(1))
case("missing_layer_1", "tensor 'k.2'", {**layer(0), **layer(2)})
case("missing_q_1", "tensor 'q.1'", {**layer(0), **layer(1, q=None)})
case("dtype_i32", "tensor 'k.0': dtype", layer(k=tensor((KV_HEADS, TOKENS, DIM), "I32")))
case("dtype_f64", "tensor 'q.0': dtype", layer(q=tensor((Q_HEADS, QUERIES, DIM), "F64")))
case("rank_2", "tensor 'k.0'", layer(k=tensor((KV_HEADS * TOKENS, DIM))))
case("rank_4", "tensor 'v.0'", layer(v=tensor((1, KV_HEADS, TOKENS, DIM))))
case("rank_0", "tensor 'v.0'", layer(v=tensor(())))
case("rank_9", "tensor 'v.0'", layer(v=tensor((1,) * 9)))
case("zero_heads", "tensor 'k.0'", layer(k=tensor((0, TOKENS, DIM))))
case("zero_tokens", "tensor 'k.0'", layer(k=tensor((KV_HEADS, 0, DIM))))
case("zero_queries", "tensor 'q.0'", layer(q=tensor((Q_HEADS, 0, DIM))))
case("zero_channels", "tensor 'q.0'", layer(q=tensor((Q_HEADS, QUERIES, 0))))
case("heads_differ", "tensor 'v.0'", layer(v=tensor((1, TOKENS, DIM))))
case("tokens_differ", "tensor 'v.0'", layer(v=tensor((KV_HEADS, TOKENS + 1, DIM))))
case("channels_differ", "tensor 'q.0'", layer(q=tensor((Q_HEADS, QUERIES, 2 * DIM))))
case("group_uneven", "tensor 'q.0'", layer(q=tensor((3, QUERIES, DIM))))
case("group_below_1", "tensor 'q.0'", layer(q=tensor((1, QUERIES, DIM))))
case("queries_many", "tensor 'q.0'", layer(q=tensor((Q_HEADS, TOKENS + 1, DIM))))
case("head_dim_36", "tensor 'k.0'", layer(k=tensor((KV_HEADS, TOKENS, 36))))
case("head_dim_24", "tensor 'v.0'", layer(v=tensor((KV_HEADS, TOKENS, 24))))
case("head_dim_264", "tensor 'v.0'", layer(v=tensor((KV_HEADS, TOKENS, 264))))

# ---- values; the last of k is [1, 3, 31]
LAST = KV_HEADS * TOKENS * DIM - 1
case("nan_f16", "tensor 'k.0': the value at [1, 3, 31] is NaN",
     layer(k=tensor((KV_HEADS, TOKENS, DIM), "F16", b"\x01\x7e", LAST)))
case("infinite_bf16", "tensor 'v.0': the value at [0, 0, 5] is infinite",
     layer(v=tensor((KV_HEADS, TOKENS, DIM), "BF16", b"\x80\x7f", 5)))
case("infinite_f32", "tensor 'q.0': the value at [1, 0, 0] is infinite",
     layer(q=tensor((Q_HEADS, QUERIES, DIM), "F32", struct.pack("<f", float("-inf")),
                    QUERIES * DIM)))
case("too_large_for_f16", "tensor 'v.0': the value at [0, 1, 0]",
     layer(v=tensor((KV_HEADS, TOKENS, DIM), "F32", struct.pack("<f", 65520.0), DIM)))
case("nan_layer_1", "tensor 'q.1': the value at [0, 0, 0] is NaN",
     {**layer(0), **layer(1, q=tensor((Q_HEADS, QUERIES, DIM), "F32", b"\0\0\xc0\x7f", 0))})

with open(os.path.join(DIRECTORY, "cases.txt"), "w", encoding="utf-8") as cases:
    cases.write("\n".join(CASES) + "\n")
