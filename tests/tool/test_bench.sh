#!/usr/bin/env bash
# vsa bench, on the device that VSA_TEST_DEVICE names or that the tool chooses. Short contexts and
# few cases: a driver may take a second to compile each. Exit code 77 = skipped: no device.
#
# usage: test_bench.sh TOOL DATA_DIRECTORY
# shellcheck source=tests/tool/common.sh
. "$(dirname "$0")/common.sh"
data=$(realpath "$2")
cd "$work" || exit 1

# refuse TEXT ARGUMENT...: exit code 2, nothing on standard output, one line that holds TEXT.
refuse() {
    local text=$1
    shift
    run 2 bench "$@"
    [ -s out ] && fail "standard output is not empty: $*"
    grep -qF -- "$text" err || fail "no '$text': $*: $(cat err)"
}

need_device
run 0 bench --help

# ---- mistakes, found before a device is looked for
icds=(VK_ICD_FILENAMES VK_DRIVER_FILES)
for name in "${icds[@]}"; do
    declare "saved_$name=${!name-}"
    export "$name=$work/none.json"
done
refuse "option --tokens: '4096,' must be whole numbers from 256 to 16777216" --tokens 4096,
refuse "option --tokens: '100'" --tokens 100
refuse "option --tokens: '17M'" --tokens 17M
refuse "option --methods: 'dense,fast' must be some of dense, topk" --methods dense,fast
refuse "options --method and --methods exclude each other" --method dense --methods topk
refuse "option --repeat: '0'" --repeat 0
refuse "option --dim: 100 is not a multiple of 8" --dim 100
refuse "option --q-heads: 6 is not a multiple of the 4 KV heads" --q-heads 6 --kv-heads 4
refuse "options --trace and --std exclude each other" --trace none --std 2
refuse "option --tuning: needs 5 numbers" --tuning 64,8
refuse "--startup takes one length, got 2" --startup --tokens 1K,2K
refuse "options --startup and --csv exclude each other" --startup --csv x
refuse "options --kernels and --tune exclude each other" --kernels --tune
refuse "--tune takes one length, got 2" --tune --tokens 1K,2K
refuse "options --tune and --csv exclude each other" --tune --csv x
refuse "name the same file" --csv x --html x
refuse "none/x: cannot be created" --csv none/x
refuse "none: cannot be opened" --trace none
refuse "option --density belongs to another command" --density 0.1
for name in "${icds[@]}"; do
    saved=saved_$name
    if [ -n "${!saved}" ]; then
        export "$name=${!saved}"
    else
        unset "$name"
    fi
done

# ---- rows, page and table of the same run
device=("${common[@]}" --scorer exact)
common=("${device[@]}" --q-heads 4 --kv-heads 2 --dim 32 --repeat 3 --sink 16 --window 64 --base 64)
run 0 bench --tokens 2K,1K,2048 --methods vattention,sample --json --csv rows.csv --html page.html \
    "${common[@]}"
mv out bench.json
check bench json bench.json {dense/none,sample/none,vattention/exact}/1024 \
    {dense/none,sample/none,vattention/exact}/2048
check bench csv bench.json rows.csv
check bench html bench.json page.html
[ -z "$(find . -name '*.tmp')" ] || fail "a temporary file was left behind"

# Counts and errors do not depend on how long it takes.
run 0 bench --tokens 1024 --method vattention --json "${common[@]}"
check bench same bench.json out

# ---- kernels
run 0 bench --tokens 1024 --methods guided,topp --kernels --json --html kernels.html "${common[@]}"
check bench kernels out
check bench html out kernels.html
grep -q combine_guided kernels.html || fail "the page lacks the kernels"

# ---- as a table, on a trace, paged, in another type
run 0 bench --trace "$data/text_2048.safetensors" --tokens 4K --method topk --top-k 0.1 \
    --kv-type bf16 --page-tokens 64 --repeat 2 --strict-exit --kernels "${device[@]}"
grep -q '^ *4096 topk *exact ' out || fail "no row: $(cat out)"
grep -q 'attend_sparse  *[0-9]' out || fail "no kernels: $(cat out)"
grep -q '2048 tokens of a trace, repeated' out || fail "the trace is not told"

# ---- what is left out is told, and is no error while something is left
run 0 bench --tokens 1K,4M --method dense --time-limit 20 --json "${common[@]}"
check bench json out dense/none/1024
grep -q '"tokens":.*4194304' out || fail "nothing was left out: $(cat out)"

# ---- strict exit
run 1 bench --tokens 1K --method vattention --epsilon 0.01 --max-samples 64 --on-miss report \
    --strict-exit "${common[@]}"

# ---- tuning
run 0 bench --tune --method dense --tokens 256 --json "${common[@]}"
check bench tuned out dense
refuse "tuning is workgroup 33" --tokens 256 --tuning 33,0,0,0,0 --method dense "${common[@]}"

# ---- start-up
run 0 bench --startup --tokens 1K --method vattention --threads 2 --repeat 1 --json "${common[@]}"
check bench startup out

# ---- outputs that cannot be written
if [ -c /dev/full ]; then
    run 2 bench --tokens 256 --method dense --csv /dev/full --json "${common[@]}"
    [ -s out ] && fail "JSON after an error"
fi

finish
