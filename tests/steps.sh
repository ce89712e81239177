#!/usr/bin/env bash
# Runs steps, prints a line for each, and counts. Shared by tests/run.sh and tools/e2e/prove.sh.
# To be sourced after deploy/local/lib.sh, with $logs set to the folder for the output of the steps.
#   prepare NAME COMMAND…        a step that counts only if it fails
#   show NAME COMMAND…           the same for a script that shows its own progress
#   check NAME PROOF COMMAND…    a step that counts one; PROOF says what it proves
#   tests NAME PROOF COMMAND…    test programs; every test counts
#   skip NAME WHY                a step that can't run
#   summary                      prints the result of all steps; fails if one failed

export CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=always CARGO_TERM_PROGRESS_WIDTH=99
passed=0 failed=0 skipped=0 proofs=() gaps=() faults=() began=$SECONDS
mkdir -p "${logs:?}" && rm -f "$logs"/*

# result NAME SECONDS STATUS [LOG]: prints the line of a step, and notes its seconds.
result() {
    local word=ok
    [[ $3 == 0 ]] || word=FAILED
    printf '%-22s %-7s %4d s   %s\n' "$1" "$word" "$2" "${4-}"
    printf '| %s | %d |\n' "$1" "$2" >>"$logs/times.md"
}

# run NAME COMMAND…: if the command fails, shows the end of its output.
run() {
    local log=$logs/$1.log start=$SECONDS status=0
    [[ ! -t 2 ]] || printf '%s …\r' "$1" >&2
    # shellcheck disable=SC2034 # for with_progress
    local progress_title=$1
    with_progress "$log" "${@:2}" || status=$?
    result "$1" $((SECONDS - start)) $status "$log"
    ((status == 0)) || failure "$1" "$log"
    return $status
}

# failure NAME LOG: shows the end of a step's output, and notes the tests that failed, or the step if it names none.
failure() {
    local line found=
    sed 's/.*\r//' "$2" | tail -n 25 | sed 's/^/    | /'
    # Test programs list them, indented, below the last "failures:".
    while read -r line; do
        faults+=("$1: $line")
        found=yes
    done < <(awk '/^failures:$/ { list = ""; on = 1; next } on && /^    [^ ]/ { list = list $0 "\n" }
        /^test result/ { printf "%s", list; list = ""; on = 0 }' "$2" | head -n 20)
    [[ $found ]] || faults+=("$1 ($2)")
}

prepare() { run "$@" || { failed=$((failed + 1)); return 1; }; }

show() {
    local start=$SECONDS status=0
    "${@:2}" </dev/null || status=$?
    result "$1" $((SECONDS - start)) $status
    ((status == 0)) || { failed=$((failed + 1)); faults+=("$1"); }
    return $status
}

check() {
    if run "$1" "${@:3}"; then
        passed=$((passed + 1))
        proofs+=("$2")
    else
        failed=$((failed + 1))
    fi
}

skip() {
    printf '%-22s skipped: %s\n' "$1" "$2"
    gaps+=("$1: $2")
    skipped=$((skipped + 1))
}

# counted NAME WORD: the sum of "3 WORD" over all results of test programs in that log.
counted() { sed -nE "s/.*test result: .* ([0-9]+) $2.*/\1/p" "$logs/$1.log" | awk '{ sum += $1 } END { print sum + 0 }'; }

tests() {
    local name=$1 status=0 bad ignored line
    run "$name" "${@:3}" || status=$?
    bad=$(counted "$name" failed) ignored=$(counted "$name" ignored)
    # A test program that was not built, or crashed, reports no case.
    ((status == 0 || bad > 0)) || bad=1
    passed=$((passed + $(counted "$name" passed))) failed=$((failed + bad)) skipped=$((skipped + ignored))
    ((ignored == 0)) || gaps+=("$name: $ignored tests are marked \`ignore\`")
    ((bad > 0 || $(counted "$name" passed) == 0)) || proofs+=("$2 ($(counted "$name" passed) tests)")
    # A test can say what it proved, and what it could not try on this machine.
    while read -r line; do proofs+=("$line"); done < <(sed -n 's/.*PROVED: //p' "$logs/$name.log")
    while read -r line; do
        gaps+=("$name: $line")
        passed=$((passed - 1)) skipped=$((skipped + 1))
    done < <(sed -n 's/.*SKIPPED: //p' "$logs/$name.log")
}

summary() {
    local line
    echo
    for line in "${proofs[@]}"; do echo "proved:  $line"; done
    for line in "${gaps[@]}"; do echo "skipped: $line"; done
    for line in "${faults[@]}"; do echo "failed:  $line"; done
    echo "took:    $((SECONDS - began)) s"
    echo "$passed passed, $failed failed, $skipped skipped"
    ((failed == 0))
}
