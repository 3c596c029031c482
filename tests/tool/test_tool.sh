#!/usr/bin/env bash
# The tool from end to end, on the device that it chooses. Exit code 77 = skipped: no device.
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

# ---- attend: 2 layers of 4 heads and 128 queries
cache="--cache $work/cache"
run 0 attend --input "$input" --output "$work/dense" --method dense --json $cache
check summary attend "$work/out" 1024
check dense "$input" "$work/dense"
for epsilon in 0.1 0.3; do
    run 0 attend --input "$input" --output "$work/sparse" --epsilon $epsilon --sink 16 --window 64 \
        --top-k 100 --base 64 --json $cache
    check summary attend "$work/out" 1024
    check attend "$input" "$work/sparse" "$work/dense" $epsilon 0.1
done
run 0 attend --input "$input" --output "$work/again" --epsilon 0.3 --sink 16 --window 64 \
    --top-k 100 --base 64 --dump-indices $cache
grep -q '^density' "$work/out" || fail "no summary"
check equal "$work/sparse" "$work/again"  out.0 status.1 error_bound.0 log_normaliser.1
check indices "$input" "$work/again"

# Input and output may be the same file.
cp "$input" "$work/same"
run 0 attend --input "$work/same" --output "$work/same" --method dense $cache
check equal "$work/dense" "$work/same"
[ -z "$(find "$work" -name '*.tmp')" ] || fail "a temporary file was left behind"

# An output that cannot be written.
if [ -c /dev/full ]; then
    run 2 attend --input "$input" --output /dev/full --method dense $cache
    [ -c /dev/full ] || fail "/dev/full was replaced"
fi

# ---- strict exit: too few samples for the target
missing="--epsilon 0.001 --top-k 32 --sink 0 --window 0 --max-samples 32 --on-miss report"
run 0 attend --input "$input" --output "$work/missed" $missing $cache
run 1 attend --input "$input" --output "$work/missed" $missing --strict-exit $cache

# ---- decode
spec=tokens=1024,queries=8,q_heads=4,kv_heads=2
for kind in gaussian uniform laplace heavy local needle; do
    run 0 decode --synthetic $kind:$spec --method dense --json $cache
    check summary decode "$work/out" 32
done
for options in "" "--kv-type f16" "--kv-type bf16" "--layout token" "--page-tokens 64" \
    "--target denominator" "--target numerator"; do
    run 0 decode --synthetic gaussian:$spec --epsilon 0.2 --sink 16 --window 16 --json $options \
        $cache
    check summary decode "$work/out" 32
done
run 0 decode --trace "$input" --json $cache
check summary decode "$work/out" 1024
run 0 decode --synthetic local:$spec --steps $cache
grep -q '^coverage' "$work/out" || fail "no summary"

# ---- refused by the library: a usage error, with its sentence
run 2 decode --synthetic gaussian:$spec --max-samples 8
run 2 decode --synthetic gaussian:$spec --method topp

# ---- every compiler that was built in; 2 = this build lacks it
for compiler in shaderc glslang embedded; do
    "$tool" decode --synthetic gaussian:$spec --compiler $compiler --json >"$work/out" 2>"$work/err"
    case $? in
    0) check summary decode "$work/out" 32 ;;
    2) echo "not in this build: $compiler: $(cat "$work/err")" ;;
    *) fail "--compiler $compiler: $(cat "$work/err")" ;;
    esac
done

# ---- the validation layer, where it is installed
"$tool" decode --synthetic gaussian:$spec --vulkan-validation --json >"$work/out" 2>"$work/err"
case $? in
0) check summary decode "$work/out" 32 ;;
*) if grep -q 'validation messages' "$work/err"; then
       fail "$(cat "$work/err")"
   else
       echo "without validation: $(cat "$work/err")"
   fi ;;
esac

echo "$failures failures"
[ "$failures" -eq 0 ]
