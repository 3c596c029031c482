#!/usr/bin/env bash
# Every embedded SPIR-V module to Metal's language, as MoltenVK does it: with argument buffers, and
# without them but for the modules that bind K and V as segments of quantised blocks, which
# SPIRV-Cross cannot alias then.
#
# usage: translate.sh SPIRV-CROSS FOLDER
set -u
cross=$1
folder=$2
failures=0
count=0

# translate FILE OPTION...
translate() {
    local message
    if ! message=$("$cross" --msl --msl-version 20100 "${@:2}" "$1" 2>&1 >/dev/null); then
        echo "FAIL: ${1##*/} ${*:2}: $message"
        failures=$((failures + 1))
    fi
}

for module in "$folder"/*.spv; do
    [ -e "$module" ] || continue
    count=$((count + 1))
    translate "$module" --msl-argument-buffers
    case $module in
    *.seg.quant.spv) ;;
    *) translate "$module" ;;
    esac
done
echo "$count modules, $failures failures"
[ "$count" -gt 0 ] && [ "$failures" -eq 0 ]
