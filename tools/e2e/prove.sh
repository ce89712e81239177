#!/usr/bin/env bash
# Proves every promise of Berth: linters, the tests of the tools, and each subject of e2e. A line for each step; the output
# is in target/prove-logs/. Needs Rust and Docker on this machine, and Python for the linters.
# usage: [ONLY=NAME,…] tools/e2e/prove.sh     these checks or subjects alone
#        tools/e2e/prove.sh --list            prints the names
#        tools/e2e/prove.sh --table           writes the times of the last whole run into CONTRIBUTING.md

. "$(dirname "$0")/../../deploy/local/lib.sh"

times=target/prove-times.md
if [[ ${1-} == --table ]]; then
    [[ -f $times ]] || die "There is no $times yet." "Run it once: make prove"
    sed -i -e "/^<!-- prove-times -->/,/^<!-- end of prove-times -->/{//!d}" -e "/^<!-- prove-times -->/r $times" CONTRIBUTING.md
    exit
fi

PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin # as cargo.sh has it
programs() { deploy/local/cargo.sh build --locked && tools/e2e/cargo.sh build --workspace --bins --examples; }
e2e() { echo "tools/target/$(cargo -vV | sed -n 's/^host: //p')/debug/e2e"; }
# What stands behind the empty line: a subject and the number of its cases.
subjects() { "$(e2e)" --list | awk '/^$/ { on = 1 } on && $2 ~ /^[0-9]+$/ { print $1 }'; }
if [[ ${1-} == --list ]]; then
    programs >&2
    tools/lint.sh --list && echo tools-tests && subjects
    exit
fi

logs=target/prove-logs
. tests/steps.sh

only=,${ONLY-},
wanted() { [[ $only == ,, || $only == *,$1,* ]]; }
any_wanted() { local name; for name in "$@"; do ! wanted "$name" || return 0; done; return 1; }

# subject NAME: runs one subject of e2e; every case counts.
subject() {
    local status=0 counts line good bad left
    run "$1" timeout --foreground 30m "$(e2e)" --only "$1" || status=$?
    counts=$(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p' "$logs/$1.log" | tail -n 1)
    # A program that crashed reports no case.
    read -r good bad left <<<"${counts:-0 0 0}"
    ((status == 0 || bad > 0)) || bad=1
    passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + left))
    ((bad > 0)) || proofs+=("$1 ($good cases)")
    while read -r line; do gaps+=("$1: $line"); done < <(sed -n 's/.*SKIPPED: //p' "$logs/$1.log")
}

mapfile -t lints < <(tools/lint.sh --list)
linters=yes images=yes built=yes
if any_wanted "${lints[@]}" platform_files; then prepare linters tools/lint.sh tools || linters=; fi

all=()
if [[ $only == ,, ]] || tr ',' '\n' <<<"$ONLY" | grep -qvxF -e tools-tests -e "$(printf '%s\n' "${lints[@]}")"; then
    prepare programs programs || built=
    if [[ $built ]]; then mapfile -t all < <(subjects); fi
fi
for name in ${ONLY//,/ }; do
    [[ ! $built || " ${lints[*]} tools-tests ${all[*]} " == *" $name "* ]] ||
        die "There is no check and no subject $name." "These are the names: tools/e2e/prove.sh --list"
done

if any_wanted compose nginx apache gixy schema compose-lint "${all[@]}"; then
    # The proofs run images of these names, whatever .env says.
    show images env COMPOSE_DISABLE_ENV_FILE=1 APP_IMAGE= FRONT_IMAGE= deploy/local/images.sh --bundle --apache || images=
fi
for image in browser:browser registry:push,kamal kamal:kamal; do
    IFS=, read -ra users <<<"${image#*:}"
    if [[ ! $images ]] || ! any_wanted "${users[@]}"; then continue; fi
    show "image-${image%:*}" tools/e2e/fixtures/image.sh "${image%:*}" || true
done

for name in "${lints[@]}"; do
    wanted "$name" || continue
    case $name in
    format | clippy | doc | imports) needs= ;;
    compose | nginx | apache) needs=images ;;
    gixy | schema | compose-lint) needs='linters images' ;;
    *) needs=linters ;;
    esac
    if [[ $needs == *linters* && ! $linters ]]; then skip "$name" "the linters could not be installed"
    elif [[ $needs == *images* && ! $images ]]; then skip "$name" "the images could not be built"
    else check "$name" "the check $name finds nothing" tools/lint.sh "$name"; fi
done
! wanted tools-tests || tests tools-tests "Berth's tools work" tools/e2e/cargo.sh test --no-fail-fast --workspace
for name in "${all[@]}"; do
    wanted "$name" || continue
    if [[ $images ]]; then subject "$name"; else skip "$name" "the images could not be built"; fi
done

if [[ $only == ,, ]]; then
    { printf '| step | seconds |\n| --- | --- |\n'; cat "$logs/times.md"; echo "| all | $((SECONDS - began)) |"; } >"$times"
fi
summary
