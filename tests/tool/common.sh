# common.sh - what the scripts here share. Sourced with the tool as the first argument.
set -u

tool=$(realpath "$1") # a script may change directory
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}

# run CODE ARGUMENT...: the exit code, and no line on standard error for 0 and 1, one for 2 and 3.
# What the tool printed is left in $work/out and $work/err.
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

# python PROGRAM ARGUMENT...: one of the programs here.
python() {
    python3 "$here/$1.py" "${@:2}" || fail "$*"
}

# check KIND ARGUMENT...: by check_KIND.py.
check() {
    python "check_$1" "${@:2}"
}

# Exit code 77 = skipped: no device. Sets common, the options for every run on the device that
# VSA_TEST_DEVICE names or that the tool chooses.
need_device() {
    "$tool" devices --json >"$work/devices.json" 2>"$work/err"
    if [ $? -eq 3 ]; then
        echo "skipped: $(cat "$work/err")"
        exit 77
    fi
    common=(--cache "$work/cache")
    if [ -n "${VSA_TEST_DEVICE:-}" ]; then
        common+=("--device=$VSA_TEST_DEVICE")
    fi
}

# The exit code of the script.
finish() {
    echo "$failures failures"
    [ "$failures" -eq 0 ]
}
