#!/usr/bin/env bash
# vsa validate, on the device that VSA_TEST_DEVICE names or on all that there are. Exit code 77 =
# skipped: no device.
#
# usage: test_validate.sh TOOL
# shellcheck source=tests/tool/common.sh
. "$(dirname "$0")/common.sh"
cd "$work" || exit 1

need_device
run 0 validate --help

# ---- every case passes; JSON in a file beside the table
run 0 validate "${common[@]}" --json all.json --html page.html
mv out table
check validate json all.json executed
check validate html all.json page.html
grep -q '^  passed   vattention/output ' table || fail "no case in the table: $(cat table)"
grep -qE '^  works' table || fail "no verdict in the table: $(cat table)"

# ---- shown again, twice the same, from a file with two results
cat all.json all.json >twice.json
run 0 validate --read twice.json --json
[ "$(grep -o '"verdict"' out | wc -l)" -eq $(($(grep -o '"verdict"' all.json | wc -l) * 2)) ] ||
    fail "results were lost: $(head -c 300 out)"
run 0 validate --read all.json
cmp -s out table || fail "read back, the table differs"

# ---- a part, on standard output; compiled alone
run 0 validate "${common[@]}" --cases guided/numerator --json
check validate json out executed
[ "$(grep -o '"status"' out | wc -l)" -ge 1 ] || fail "no case ran"
run 0 validate "${common[@]}" --cases dense/f16 --compile-only --json
check validate json out compiled

# ---- a failed case of an earlier run is a failure
sed 's/"verdict":"[a-z]*"/"verdict":"fails"/; s/"status":"passed"/"status":"failed"/' \
    all.json >failed.json
run 1 validate --read failed.json --json

# ---- what cannot be
run 3 validate --device "no such device"
run 2 validate --cases nothing
run 2 validate --read none.json
echo '{"rows": []}' >other.json
run 2 validate --read other.json
run 2 validate --read all.json --compile-only
run 2 validate --json same --html same

finish
