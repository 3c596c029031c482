#!/usr/bin/env bash
# Mistakes that the tool must find before it touches a device: options and input files. Each must
# give exit code 2 and exactly one line on standard error that names what is wrong.
#
# usage: test_bad_input.sh TOOL
# shellcheck source=tests/tool/common.sh
. "$(dirname "$0")/common.sh"
checks=0

# No driver may be found: whatever fails later than it should gives 3, not 2.
export VK_ICD_FILENAMES=$work/none.json VK_DRIVER_FILES=$work/none.json

# refuse TEXT ARGUMENT...: exit code 2, nothing on standard output, one line that holds TEXT.
refuse() {
    local text=$1 code
    shift
    checks=$((checks + 1))
    "$tool" "$@" >"$work/out" 2>"$work/err"
    code=$?
    [ "$code" -eq 2 ] || fail "exit code $code, not 2: $*: $(head -c 300 "$work/err")"
    [ -s "$work/out" ] && fail "standard output is not empty: $*"
    [ "$(wc -l <"$work/err")" -eq 1 ] || fail "not one line: $*: $(head -c 600 "$work/err")"
    grep -qF -- "$text" "$work/err" || fail "no '$text': $*: $(cat "$work/err")"
}

python3 "$here/make_files.py" "$work" || exit 1
good=$work/good.safetensors
out=$work/result.safetensors

# ---- files
while IFS='|' read -r file text; do
    refuse "$text" attend --input "$work/$file" --output "$out"
    grep -qF -- "$work/$file: " "$work/err" || fail "the file is not named: $file"
    refuse "$text" decode --trace "$work/$file"
    refuse "$text" eval --input "$work/$file"
done <"$work/cases.txt"

refuse "$work/missing: cannot be opened" attend --input "$work/missing" --output "$out"
refuse "$work: is a directory" attend --input "$work" --output "$out"
refuse "not a regular file" decode --trace /dev/null
refuse "not in a directory" attend --input "$good" --output "$good/result"
refuse "is a directory" attend --input "$good" --output "$work"
refuse "cannot be created" attend --input "$good" --output "$work/none/result"
[ -e "$out" ] && fail "an output was written"

# eval writes two files more, and never over its input.
cp "$good" "$work/input"
refuse "$work/input: is the input, too" eval --input "$work/input" --csv "$work/input"
refuse "$work/input: is the input, too" eval --input "$work/input" --html "$work/input"
refuse "name the same file" eval --csv "$out" --html "$out"
refuse "is a directory" eval --input "$good" --html "$work"
refuse "cannot be created" eval --input "$good" --csv "$work/none/result"
cmp -s "$good" "$work/input" || fail "the input was written to"

# Every prefix of a good file is bad.
size=$(wc -c <"$good")
for ((length = 0; length < size; length += 97)); do
    head -c "$length" "$good" >"$work/prefix"
    refuse "$work/prefix" decode --trace "$work/prefix"
done

# A replay goes through all layers together.
refuse "tensor 'k.1': has 33 tokens, tensor 'k.0' has 200" decode --trace "$work/mixed.safetensors"

# The type of the cache decides what fits.
cp "$work/too_large_for_f16" "$work/large"
refuse "too large for a cache of f16" decode --trace "$work/large" --kv-type f16
refuse "too large for a cache of f16" eval --input "$work/large" --kv-type f16
refuse "head size 40, must be a multiple of 32 for a cache of q4_0" decode \
    --synthetic gaussian:tokens=64,queries=1,dim=40 --kv-type q4_0

# ---- commands
refuse "no command"
refuse "unknown command 'attent'" attent
refuse "unknown command" ""
refuse "belongs to another command" validate --epsilon 0.1
refuse "no case has" validate --cases nothing
refuse "--input is missing" attend --output "$out"
refuse "--output is missing" attend --input "$good"
refuse "exclude each other" decode --trace "$good" --synthetic gaussian
refuse "exclude each other" eval --input "$good" --synthetic gaussian
refuse "belongs to another command" decode --html page
refuse "belongs to another command" decode --density 0.1
refuse "belongs to another command" attend --tokens 1024
for other in "epsilon 0.1" "top-p 0.5"; do
    refuse "options --density and --${other% *} exclude each other" eval --density 0.1 --$other
done
refuse "option --density: method dense reads everything" eval --density 0.1 --method dense
refuse "option --tokens is for the built-in inputs, not for --input" \
    eval --tokens 1024 --input "$good"
refuse "option --tokens is for the built-in inputs, not for --synthetic" \
    eval --tokens 1024 --synthetic gaussian
refuse "option --tokens: '255' must be a whole number from 256" eval --tokens 255
many_densities=$(printf '0.1,%.0s' {1..16})0.1 # one more than there is room for
for density in 0 1 2 -0.1 "" , 0.1, 0.1,,0.2 0.1,1 0.1x nan $many_densities; do
    refuse "option --density: '$density' must be numbers above 0 and below 1" \
        eval "--density=$density"
done
refuse "option --queries: '0' must be a whole number from 1" eval --queries 0
refuse "option --csv: '' must be a FILE" eval --csv=
many=()
for ((i = 0; i < 17; i++)); do
    many+=(--synthetic gaussian)
done
refuse "a SPEC, up to 16 times" eval "${many[@]}"
refuse "unexpected argument 'file'" decode file
refuse "unexpected argument '--'" decode --
refuse "unknown option --epsilom" decode --epsilom 0.1
refuse "belongs to another command" decode --dump-indices
refuse "belongs to another command" devices --method dense

# ---- values: OPTION VALUE TEXT
while IFS='|' read -r option value text; do
    refuse "option --$option: '$value' must be $text" decode --trace "$good" "--$option" "$value"
    refuse "option --$option: '$value' must be $text" attend "--$option=$value"
    refuse "option --$option: '$value' must be $text" eval "--$option=$value"
done <<'VALUES'
method|fast|one of dense, topk, topp, sample, vattention, guided
method|Dense|one of
method||one of
scorer|int2|one of exact, page, sign, int8, int4
bound|loose|one of clt, strict
target|logits|one of denominator, numerator, output
on-miss|retry|one of report, dense
kv-type|f64|one of f32, f16, bf16, q8_0, q4_0
layout|page|one of head, token
compiler|dxc|one of shaderc, glslang, embedded
epsilon|0|a number above 0 and below 1
epsilon|1|a number above 0 and below 1
epsilon|-0.1|a number above 0 and below 1
epsilon|2|a number above 0 and below 1
epsilon|0.1x|a number above 0 and below 1
epsilon| 0.1|a number above 0 and below 1
epsilon|nan|a number above 0 and below 1
epsilon|inf|a number above 0 and below 1
epsilon|0x1p-4|a number above 0 and below 1
epsilon|1e-60|a number above 0 and below 1
epsilon|0.999999999999|a number above 0 and below 1
epsilon||a number above 0 and below 1
delta|0|a number above 0 and below 1
delta|1.5|a number above 0 and below 1
top-p|0|a number above 0, up to 1
top-p|1.01|a number above 0, up to 1
top-p|1.5|a number above 0, up to 1
top-p|-0.5|a number above 0, up to 1
value-floor|-0.1|a number from 0 to 1000
value-floor|1001|a number from 0 to 1000
value-floor|inf|a number from 0 to 1000
value-floor||a number from 0 to 1000
sink|-1|a whole number from 0 to 16777216
sink|1.5|a whole number from 0 to 16777216
sink|16777217|a whole number from 0 to 16777216
sink|99999999999999999999999|a whole number from 0 to 16777216
window|many|a whole number from 0 to 16777216
max-samples|-5|a whole number from 0 to 16777216
top-k|-1|a whole number from 0 to 16777216, or a fraction
top-k|1.5|a whole number from 0 to 16777216, or a fraction
top-k|-0.5|a whole number from 0 to 16777216, or a fraction
top-k|.|a whole number from 0 to 16777216, or a fraction
top-k|1e9|a whole number from 0 to 16777216, or a fraction
base|0|a whole number from 1 to 16777216, or a fraction
base|1.1|a whole number from 1 to 16777216, or a fraction
seed|-1|a whole number from 0 to 18446744073709551615
seed|18446744073709551616|a whole number from 0 to 18446744073709551615
page-tokens|48|0 or a power of two
page-tokens|33554432|0 or a power of two
VALUES
refuse "option --epsilon: needs a value" decode --epsilon
refuse "option --epsilon: needs a value" decode --epsilon --json
refuse "option --json: takes no value" decode --json=yes

# ---- synthetic tensors
while IFS='|' read -r specification text; do
    refuse "$text" decode --synthetic "$specification"
    refuse "$text" eval --synthetic gaussian --synthetic "$specification"
done <<'SPECIFICATIONS'
cauchy|unknown kind 'cauchy'
gauss|unknown kind 'gauss'
gaussian:length=4|unknown key 'length'
gaussian:tokens|'tokens' is not KEY=VALUE
gaussian:|is not KEY=VALUE
gaussian:tokens=64,|is not KEY=VALUE
gaussian:tokens=0|tokens: '0' must be
gaussian:tokens=1.5|tokens: '1.5' must be
gaussian:tokens=-4|tokens: '-4' must be
gaussian:tokens=|tokens: '' must be
gaussian:std=-1|std: '-1' must be
gaussian:std=nan|std: 'nan' must be
gaussian:dim=36|dim: 36
bimodal:high=1.5|high: '1.5' must be
bimodal:gap=-1|gap: '-1' must be
outlier:channels=0|channels: '0' must be
outlier:channels=33|channels: '33' must be
outlier:size=-1|size: '-1' must be
aligned:align=101|align: '101' must be
gaussian:q_heads=3,kv_heads=2|q_heads: 3
gaussian:tokens=16,queries=17|queries: 17
gaussian:tokens=16777216,q_heads=64,kv_heads=64|8 GiB
SPECIFICATIONS

echo "$checks checks"
finish
