#!/usr/bin/env bash
# Every check and every test, a line each; their output goes to target/test-logs/.
# Needs Rust on this machine, Python for the linters, and Docker for everything that runs in containers.
# usage: tests/run.sh
set -euo pipefail
cd "$(dirname "$0")/.."

[[ ${1-} != -h && ${1-} != --help ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' tests/run.sh; exit; }
die() { printf 'berth: %s\n       %s\n' "$1" "$2" >&2; exit 1; }

export CARGO_TERM_COLOR=never
deploy/local/cargo.sh --version >/dev/null
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin # as cargo.sh has it
channel=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
# The first call of a tool has rustup fetch the toolchain, if it has to.
for tool in 'cargo' 'cargo fmt' 'cargo clippy'; do
    said=$($tool --version 2>&1 </dev/null) || die "\`$tool\` does not run: $(grep -m 1 -i error <<<"$said")" \
        "Install Rust $channel: rustup toolchain install $channel --component rustfmt,clippy (on Debian without rustup also: rustfmt, rust-clippy)."
done
command -v python3 >/dev/null || die "python3 is missing, which the linters need." "Install it: sudo apt-get install python3-venv"

logs=target/test-logs
mkdir -p "$logs" && rm -f "$logs"/*
passed=0 failed=0 skipped=0 ran=() missed=()

# run NAME COMMAND…: one line with its result; when it failed, the end of what it said.
run() {
    local name=$1 start=$SECONDS status=0
    shift
    printf '%-14s ' "$name"
    "$@" >"$logs/$name.log" 2>&1 </dev/null || status=$?
    if ((status)); then printf 'FAILED'; else printf 'ok    '; fi
    printf ' %4d s   %s\n' $((SECONDS - start)) "$logs/$name.log"
    ((status == 0)) || tail -n 20 "$logs/$name.log" | sed 's/^/    | /'
    ran+=("$name")
    return $status
}

# What only makes ready counts only when it fails.
prepare() { run "$@" || { failed=$((failed + 1)); return 1; }; }
check() { if run "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi; }
skip() {
    printf '%-14s skipped: %s\n' "$1" "$2"
    missed+=("$1 ($2)")
    skipped=$((skipped + 1))
}

# counted NAME WHAT: the sum over all `test result:` lines of that log.
counted() { sed -nE "s/^test result: .* ([0-9]+) $2.*/\1/p" "$logs/$1.log" | awk '{ sum += $1 } END { print sum + 0 }'; }

# tests NAME OPTION…: the tests of a crate; each counts.
tests() {
    local name=$1 status=0 bad ignored
    run "$name" timeout --foreground 60m cargo test --locked --no-fail-fast "${@:2}" || status=$?
    grep -E '^test .* FAILED$' "$logs/$name.log" | head -n 30 | sed 's/^/    | /' || true
    bad=$(counted "$name" failed)
    # A test program that was not built, or died, says nothing of its cases.
    ((status == 0 || bad > 0)) || bad=1
    passed=$((passed + $(counted "$name" passed))) failed=$((failed + bad))
    ignored=$(counted "$name" ignored)
    ((ignored == 0)) || missed+=("$ignored tests (marked \`ignore\`; $logs/$name.log names them)")
    skipped=$((skipped + ignored))
    # What a test could not try on this machine, in its own words.
    local part
    while read -r part; do
        missed+=("$name: $part")
        passed=$((passed - 1)) skipped=$((skipped + 1))
    done < <(sed -n 's/.*SKIPPED: //p' "$logs/$name.log")
}

tools=yes images=yes
prepare tools tests/lint.sh tools || tools=
# What the tests run has these names, whatever .env says.
prepare images env COMPOSE_DISABLE_ENV_FILE=1 APP_IMAGE= FRONT_IMAGE= deploy/local/images.sh --bundle --apache || images=
for name in browser registry kamal; do
    [[ ! $images ]] || prepare "$name" tests/image.sh "$name" || true
done

for name in $(tests/lint.sh --list); do
    case $name in
    fmt | clippy | doc) needs= ;;
    compose | nginx | apache) needs=images ;;
    gixy | schema | compose-lint) needs='tools images' ;;
    *) needs=tools ;;
    esac
    if [[ $needs == *tools* && ! $tools ]]; then skip "$name" "the linters could not be installed"
    elif [[ $needs == *images* && ! $images ]]; then skip "$name" "the images could not be made"
    else check "$name" tests/lint.sh "$name"; fi
done
tests site --manifest-path deploy/site/Cargo.toml --target-dir target/site --release
tests tests

printf '\nran:     %s\n' "${ran[*]}"
for what in "${missed[@]}"; do echo "skipped: $what"; done
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
