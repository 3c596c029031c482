#!/usr/bin/env bash
# vsa eval, on the device that VSA_TEST_DEVICE names or that the tool chooses. Few cases: a driver
# may take a second to compile each. Exit code 77 = skipped: no device.
#
# usage: test_eval.sh TOOL DATA_DIRECTORY
# shellcheck source=tests/tool/common.sh
. "$(dirname "$0")/common.sh"

need_device
common+=(--sink 16 --window 64)
run 0 eval --help

# ---- one case of every method; guided with both bounds. The name has to be escaped.
name='<b>"trace" & 100%.safetensors'
cp "$2/text_2048.safetensors" "$work/$name"
cd "$work" || exit 1
one=(--top-k 0.1 --top-p 0.9 --epsilon 0.2)
run 0 eval --input "$name" --queries 2 --scorer exact --target output "${one[@]}" --json --csv rows.csv \
    --html page.html "${common[@]}"
mv out eval.json
check eval json eval.json "$name" 7
check eval csv eval.json rows.csv
check eval html eval.json page.html
[ -z "$(find . -name '*.tmp')" ] || fail "a temporary file was left behind"

# The same rows as attend's.
python cut_trace "$name" last 2
for method in vattention guided; do
    run 0 attend --input last --output result --json --method $method "${one[@]}" "${common[@]}"
    check eval attend eval.json out
done

# ---- several inputs, and one run of topk measured on every target
small=tokens=512,queries=1,q_heads=4,kv_heads=2,dim=32
two=(--synthetic "gaussian:$small" --synthetic "local:$small")
exact=(--method topk --scorer exact --top-k 100)
run 0 eval "${two[@]}" "${exact[@]}" --strict-exit "${common[@]}"
for target in denominator numerator output; do
    [ "$(grep -c "^ [12] topk *exact *none *$target .* 0/0/4\$" out)" -eq 2 ] ||
        fail "not a row per input: $target: $(cat out)"
done

# ---- every scorer
run 0 eval "${two[@]:0:2}" --method topk --top-k 100 --target output --json "${common[@]}"
mv out scorers.json
check eval json scorers.json "gaussian:$small" 5
for scorer in exact page sign int8 int4; do
    grep -q "\"scorer\":\"$scorer\"" scorers.json || fail "scorer $scorer was not run"
done

# ---- strict exit: only a guarantee can be missed
run 1 eval "${two[@]:0:2}" --method vattention --scorer exact --bound clt --target output \
    --epsilon 0.02 --max-samples 32 --on-miss report --strict-exit --json "${common[@]}"
mv out missed.json
check eval json missed.json "gaussian:$small" 1

# ---- a value floor is for the bound clt; errors are relative to it, whatever the method
run 0 eval "${two[@]:0:2}" "${exact[@]}" --target output --json "${common[@]}"
mv out plain.json
run 0 eval "${two[@]:0:2}" "${exact[@]}" --target output --value-floor 1 --json "${common[@]}"
mv out floor.json
check eval smaller floor.json plain.json

# ---- equal density
even=(--synthetic gaussian:tokens=2048,queries=8,std=1 --density 0.2)
for method in topp sample guided; do
    run 0 eval "${even[@]}" --method $method --json --csv rows.csv --html page.html "${common[@]}"
    mv out density.json
    check eval density density.json
    check eval csv density.json rows.csv
    check eval html density.json page.html
done
run 0 eval "${even[@]}" "${two[@]:2:2}" --method topk "${common[@]}"
grep -q '^| gaussian:tokens=2048,queries=8,std=1 | 20% | \*\*0\.' out || fail "no table: $(cat out)"
grep -q '^| mean of the 2 inputs | 20% | 0\.' out || fail "no mean: $(cat out)"

# More than the density allows is read at any setting: it is said, and is no error.
run 0 eval "${two[@]:0:2}" --density 0.05 --method guided "${common[@]}"
grep -q 'density not reached' out || fail "reached: $(cat out)"

# ---- what the library refuses is an error when it is asked for, before any result
for options in "--method sample --bound strict" "--method vattention --target output --bound strict" \
    "--method guided --scorer sign --bound strict" "--bound strict --value-floor 1"; do
    run 2 eval "${two[@]}" $options "${common[@]}"
    [ -s out ] && fail "output before the refusal: $options"
done

# ---- outputs that cannot be written
if [ -c /dev/full ]; then
    run 2 eval "${two[@]}" "${exact[@]}" --csv /dev/full --json "${common[@]}"
    [ -s out ] && fail "JSON after an error"
fi

finish
