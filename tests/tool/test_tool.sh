#!/usr/bin/env bash
# The tool from end to end, on the device that VSA_TEST_DEVICE names or that the tool chooses. With
# VSA_TEST_VALIDATION=0 the validation layer is left out. Exit code 77 = skipped: no device.
#
# usage: test_tool.sh TOOL DATA_DIRECTORY
# shellcheck source=tests/tool/common.sh
. "$(dirname "$0")/common.sh"
input=$2/text_2048.safetensors

need_device
check output devices "$work/devices.json"
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
sparse="--epsilon 0.1 --sink 16 --window 64 --top-k 100 --base 64"
run 0 attend --input "$input" --output "$work/dense" --method dense --json "${common[@]}"
check output summary attend "$work/out" 1024
check output dense "$input" "$work/dense"
run 0 attend --input "$input" --output "$work/sparse" $sparse --json "${common[@]}"
check output summary attend "$work/out" 1024
check output attend "$input" "$work/sparse" "$work/dense" 0.1 0.1 vattention

# Steps take 16 queries: 20 make a second step that is not full.
python cut_trace "$input" "$work/small" 20
run 0 attend --input "$work/small" --output "$work/small_dense" --method dense "${common[@]}"
grep -q '^density' "$work/out" || fail "no summary"
check output dense "$work/small" "$work/small_dense"
run 0 attend --input "$work/small" --output "$work/first" $sparse --dump-indices "${common[@]}"
check output attend "$work/small" "$work/first" "$work/small_dense" 0.1 0.1 vattention
check output indices "$work/small" "$work/first"

for bound in clt strict; do
    run 0 attend --input "$work/small" --output "$work/guided" --method guided --bound $bound \
        --dump-indices --epsilon 0.2 --sink 16 --window 64 --base 64 "${common[@]}"
    check output attend "$work/small" "$work/guided" "$work/small_dense" 0.2 0.1 guided
    check output indices "$work/small" "$work/guided"
done

# The same inputs and seed give the same bytes, also beside an index dump; another seed does not.
run 0 attend --input "$work/small" --output "$work/again" $sparse "${common[@]}"
check output equal "$work/again" "$work/first" out.0 out.1 status.1 error_bound.0 log_normaliser.1
run 0 attend --input "$work/small" --output "$work/seed" $sparse --seed 1 "${common[@]}"
cmp -s "$work/again" "$work/seed" && fail "the seed changes nothing"

# Input and output may be the same file.
cp "$work/small" "$work/same"
run 0 attend --input "$work/same" --output "$work/same" --method dense "${common[@]}"
check output equal "$work/small_dense" "$work/same"
[ -z "$(find "$work" -name '*.tmp')" ] || fail "a temporary file was left behind"

# Layers of different shapes and types.
mkdir "$work/files" && python make_files "$work/files"
run 0 attend --input "$work/files/mixed.safetensors" --output "$work/mixed" --method dense \
    --kv-type f32 "${common[@]}"
check output dense "$work/files/mixed.safetensors" "$work/mixed"

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
for kind in gaussian uniform laplace heavy bimodal local needle outlier aligned; do
    run 0 decode --synthetic $kind:$spec --method dense --json "${common[@]}"
    check output summary decode "$work/out" 32
done
for options in "" "--kv-type f16" "--kv-type bf16" "--kv-type q8_0" \
    "--kv-type q4_0 --layout token" "--layout token" "--page-tokens 64" \
    "--target denominator" "--target numerator" "--target denominator --bound strict" \
    "--method guided" "--method guided --bound strict" "--method sample" "--method topk" \
    "--method topp" "--value-floor 0.5"; do
    run 0 decode --synthetic gaussian:$spec --epsilon 0.2 --sink 16 --window 16 --json $options \
        "${common[@]}"
    check output summary decode "$work/out" 32
done
# An output near zero: no relative target is met sparsely, unless the values set the scale.
zero=gaussian:$spec,std=0.5,vmean=0
run 0 decode --synthetic $zero --epsilon 0.2 --sink 16 --window 16 --json "${common[@]}"
grep -q '"exact":32,.*"unattainable":32,' "$work/out" || fail "not unattainable: $(cat "$work/out")"
run 0 decode --synthetic $zero --epsilon 0.2 --sink 16 --window 16 --value-floor 0.5 --json \
    "${common[@]}"
check output summary decode "$work/out" 32
grep -q '"met":32,.*"floored":32,' "$work/out" || fail "not floored: $(cat "$work/out")"

run 0 decode --trace "$work/small" --json "${common[@]}"
check output summary decode "$work/out" 160
run 0 decode --synthetic local:$spec --steps "${common[@]}"
grep -q '^coverage' "$work/out" || fail "no summary"

# ---- refused by the library: a usage error, with its sentence
run 2 decode --synthetic gaussian:$spec --max-samples 8 "${common[@]}"
run 2 decode --synthetic gaussian:$spec --method sample --bound strict "${common[@]}"
run 2 decode --synthetic gaussian:$spec --method vattention --bound strict "${common[@]}"
run 2 decode --synthetic gaussian:$spec --method guided --bound strict --value-floor 1 "${common[@]}"

# ---- every compiler that was built in; 2 = this build lacks it
for compiler in shaderc glslang embedded; do
    "$tool" decode --synthetic gaussian:$spec --compiler $compiler --json "${common[@]:2}" \
        >"$work/out" 2>"$work/err"
    case $? in
    0) check output summary decode "$work/out" 32 ;;
    2) echo "not in this build: $compiler: $(cat "$work/err")" ;;
    *) fail "--compiler $compiler: $(cat "$work/err")" ;;
    esac
done

# ---- the validation layer, where it is installed
if [ "${VSA_TEST_VALIDATION:-1}" != 0 ]; then
    "$tool" decode --synthetic gaussian:$spec --vulkan-validation --json "${common[@]}" \
        >"$work/out" 2>"$work/err"
    if [ $? -eq 0 ]; then
        check output summary decode "$work/out" 32
    elif grep -q 'not installed' "$work/err"; then
        echo "without validation: $(cat "$work/err")"
    else
        fail "--vulkan-validation: $(cat "$work/err")"
    fi
fi

finish
