#!/usr/bin/env bash
# vsa eval, on the device that VSA_TEST_DEVICE names or that the tool chooses. Few cases: a driver
# may take a second to compile each. Exit code 77 = skipped: no device.
#
# usage: test_eval.sh TOOL DATA_DIRECTORY
set -u

tool=$(realpath "$1") # the script changes directory
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}

# run CODE LINES ARGUMENT...: the exit code, and how many lines go to standard error.
run() {
    local expected=$1 lines=$2 code
    shift 2
    "$tool" "$@" >"$work/out" 2>"$work/err"
    code=$?
    [ "$code" -eq "$expected" ] ||
        fail "exit code $code, not $expected: $*: $(head -c 300 "$work/err")"
    [ "$(wc -l <"$work/err")" -eq "$lines" ] ||
        fail "not $lines lines on standard error: $*: $(head -c 600 "$work/err")"
}

check() {
    python3 "$here/check_eval.py" "$@" || fail "$*"
}

"$tool" devices >/dev/null 2>"$work/err"
if [ $? -eq 3 ]; then
    echo "skipped: $(cat "$work/err")"
    exit 77
fi
run 0 0 eval --help
common=(--cache "$work/cache" --sink 16 --window 64)
[ -n "${VSA_TEST_DEVICE:-}" ] && common+=("--device=$VSA_TEST_DEVICE")

# ---- one case of every method: dense, topk, sample and vattention. The name has to be escaped.
name='<b>"trace" & 100%.safetensors'
cp "$2/text_2048.safetensors" "$work/$name"
cd "$work" || exit 1
one=(--top-k 0.1 --epsilon 0.2)
run 0 1 eval --input "$name" --queries 2 --target output "${one[@]}" --json --csv rows.csv \
    --html page.html "${common[@]}"
grep -q '^vsa: not in this version: .*topp' err || fail "no list of what is missing: $(cat err)"
mv out eval.json
check json eval.json "$name" 4
check csv eval.json rows.csv
check html eval.json page.html
[ -z "$(find . -name '*.tmp')" ] || fail "a temporary file was left behind"

# The same rows as attend's.
python3 "$here/cut_trace.py" "$name" last 2 || fail "cut_trace.py"
run 0 0 attend --input last --output result --json "${one[@]}" "${common[@]}"
check attend eval.json out

# ---- several inputs, and one run of topk measured on every target
small=tokens=512,queries=1,q_heads=4,kv_heads=2,dim=32
two=(--synthetic "gaussian:$small" --synthetic "local:$small")
exact=(--method topk --scorer exact --top-k 100)
run 0 0 eval "${two[@]}" "${exact[@]}" --strict-exit "${common[@]}"
for target in denominator numerator output; do
    [ "$(grep -c "^ [12] topk *exact *none *$target .* 0/0/4\$" out)" -eq 2 ] ||
        fail "not a row per input: $target: $(cat out)"
done

# ---- strict exit: only a guarantee can be missed
run 1 0 eval "${two[@]:0:2}" --method vattention --scorer exact --bound clt --target output \
    --epsilon 0.02 --max-samples 32 --on-miss report --strict-exit --json "${common[@]}"
mv out missed.json
check json missed.json "gaussian:$small" 1

# ---- nothing left to run, and outputs that cannot be written
run 2 1 eval "${two[@]}" --method topp "${common[@]}"
if [ -c /dev/full ]; then
    run 2 1 eval "${two[@]}" "${exact[@]}" --csv /dev/full --json "${common[@]}"
    [ -s out ] && fail "JSON after an error"
fi

echo "$failures failures"
[ "$failures" -eq 0 ]
