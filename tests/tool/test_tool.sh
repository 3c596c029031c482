#!/usr/bin/env bash
# The tool from end to end, on the device that VSA_TEST_DEVICE names or that the tool chooses. With
# VSA_TEST_VALIDATION=0 the validation layer is left out. Exit code 77 = skipped: no device.
#
# usage: test_tool.sh TOOL DATA_DIRECTORY
set -u

tool=$1
input=$2/text_2048.safetensors
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}

# run CODE ARGUMENT...: the exit code, and no line on standard error for 0 and 1, one for 2 and 3.
run() {
    local expected=$1 code lines
    shift
    "$tool" "$@" >"$work/out" 2>"$work/err"
    code=$?
    lines=$(wc -l <"$work/err")
    [ "$code" -eq "$expected" ] ||
        fail "exit code $code, not $expected: $*: $(head -c 300 "$work/err")"
    [ "$lines" -eq $((code >= 2)) ] || fail "$lines lines on standard error: $*"
}

check() {
    python3 "$here/check_output.py" "$@" || fail "$*"
}

"$tool" devices --json >"$work/devices.json" 2>"$work/err"
if [ $? -eq 3 ]; then
    echo "skipped: $(cat "$work/err")"
    exit 77
fi
check devices "$work/devices.json"
run 0 devices
run 0 --version
grep -q '^vsa [0-9]*\.[0-9]*\.[0-9]*$' "$work/out" || fail "version: $(cat "$work/out")"
for command in "" devices attend decode; do
    run 0 $command --help
    [ -s "$work/out" ] || fail "no help for '$command'"
done

# ---- devices that are not there
run 3 decode --synthetic gaussian:tokens=64,queries=1 --device 99
run 3 decode --synthetic gaussian:tokens=64,queries=1 --device "no such device"
VK_ICD_FILENAMES=$work/none VK_DRIVER_FILES=$work/none run 3 decode --synthetic gaussian
VK_ICD_FILENAMES=$work/none VK_DRIVER_FILES=$work/none run 3 devices

common=(--cache "$work/cache")
[ -n "${VSA_TEST_DEVICE:-}" ] && common+=("--device=$VSA_TEST_DEVICE")

# ---- attend: 2 layers of 4 heads and 128 queries
sparse="--epsilon 0.1 --sink 16 --window 64 --top-k 100 --base 64"
run 0 attend --input "$input" --output "$work/dense" --method dense --json "${common[@]}"
check summary attend "$work/out" 1024
check dense "$input" "$work/dense"
run 0 attend --input "$input" --output "$work/sparse" $sparse --json "${common[@]}"
check summary attend "$work/out" 1024
check attend "$input" "$work/sparse" "$work/dense" 0.1 0.1

# Steps take 16 queries: 20 make a second step that is not full.
python3 "$here/cut_trace.py" "$input" "$work/small" 20 || fail "cut_trace.py"
run 0 attend --input "$work/small" --output "$work/small_dense" --method dense "${common[@]}"
grep -q '^density' "$work/out" || fail "no summary"
check dense "$work/small" "$work/small_dense"
run 0 attend --input "$work/small" --output "$work/first" $sparse --dump-indices "${common[@]}"
check attend "$work/small" "$work/first" "$work/small_dense" 0.1 0.1
check indices "$work/small" "$work/first"

# The same inputs and seed give the same bytes, also beside an index dump; another seed does not.
run 0 attend --input "$work/small" --output "$work/again" $sparse "${common[@]}"
check equal "$work/again" "$work/first" out.0 out.1 status.1 error_bound.0 log_normaliser.1
run 0 attend --input "$work/small" --output "$work/seed" $sparse --seed 1 "${common[@]}"
cmp -s "$work/again" "$work/seed" && fail "the seed changes nothing"

# Input and output may be the same file.
cp "$work/small" "$work/same"
run 0 attend --input "$work/same" --output "$work/same" --method dense "${common[@]}"
check equal "$work/small_dense" "$work/same"
[ -z "$(find "$work" -name '*.tmp')" ] || fail "a temporary file was left behind"

# Layers of different shapes and types.
mkdir "$work/files" && python3 "$here/make_files.py" "$work/files" || fail "make_files.py"
run 0 attend --input "$work/files/mixed.safetensors" --output "$work/mixed" --method dense \
    --kv-type f32 "${common[@]}"
check dense "$work/files/mixed.safetensors" "$work/mixed"

# An output that cannot be written.
if [ -c /dev/full ]; then
    run 2 attend --input "$work/small" --output /dev/full --method dense "${common[@]}"
    [ -c /dev/full ] || fail "/dev/full was replaced"
fi

# ---- strict exit: too few samples for the target
missing="--epsilon 0.001 --top-k 32 --sink 0 --window 0 --max-samples 32 --on-miss report"
run 0 attend --input "$work/small" --output "$work/missed" $missing "${common[@]}"
run 1 attend --input "$work/small" --output "$work/missed" $missing --strict-exit "${common[@]}"

# ---- decode
spec=tokens=1024,queries=8,q_heads=4,kv_heads=2
for kind in gaussian uniform laplace heavy local needle; do
    run 0 decode --synthetic $kind:$spec --method dense --json "${common[@]}"
    check summary decode "$work/out" 32
done
for options in "" "--kv-type f16" "--kv-type bf16" "--layout token" "--page-tokens 64" \
    "--target denominator" "--target numerator"; do
    run 0 decode --synthetic gaussian:$spec --epsilon 0.2 --sink 16 --window 16 --json $options \
        "${common[@]}"
    check summary decode "$work/out" 32
done
run 0 decode --trace "$work/small" --json "${common[@]}"
check summary decode "$work/out" 160
run 0 decode --synthetic local:$spec --steps "${common[@]}"
grep -q '^coverage' "$work/out" || fail "no summary"

# ---- refused by the library: a usage error, with its sentence
run 2 decode --synthetic gaussian:$spec --max-samples 8 "${common[@]}"
run 2 decode --synthetic gaussian:$spec --method topp "${common[@]}"

# ---- every compiler that was built in; 2 = this build lacks it
for compiler in shaderc glslang embedded; do
    "$tool" decode --synthetic gaussian:$spec --compiler $compiler --json "${common[@]:2}" \
        >"$work/out" 2>"$work/err"
    case $? in
    0) check summary decode "$work/out" 32 ;;
    2) echo "not in this build: $compiler: $(cat "$work/err")" ;;
    *) fail "--compiler $compiler: $(cat "$work/err")" ;;
    esac
done

# ---- the validation layer, where it is installed
if [ "${VSA_TEST_VALIDATION:-1}" != 0 ]; then
    "$tool" decode --synthetic gaussian:$spec --vulkan-validation --json "${common[@]}" \
        >"$work/out" 2>"$work/err"
    if [ $? -eq 0 ]; then
        check summary decode "$work/out" 32
    elif grep -q 'not installed' "$work/err"; then
        echo "without validation: $(cat "$work/err")"
    else
        fail "--vulkan-validation: $(cat "$work/err")"
    fi
fi

echo "$failures failures"
[ "$failures" -eq 0 ]
