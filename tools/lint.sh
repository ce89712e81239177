#!/usr/bin/env bash
# Checks what can be checked without running it: code, dependencies, scripts, images, nginx, Compose, workflows.
# `tools` installs the linters into target/tools/, in the versions of tools/requirements.txt.
# usage: tools/lint.sh [CHECK…]        all of them, unless some are named; --list prints their names
set -euo pipefail
cd "$(dirname "$0")/.."

checks=(format clippy doc imports deny shellcheck hadolint yamllint schema zizmor compose compose-lint nginx apache gixy)
tools=$PWD/target/tools
export PATH=$tools/python/bin:$PATH

die() { printf 'berth: %s\n       %s\n' "$1" "$2" >&2; exit 1; }

check_tools() {
    cmp -s tools/requirements.txt "$tools/python/requirements.txt" && return
    rm -rf "$tools"
    python3 -m venv "$tools/python" ||
        die "python3 can't make a virtual environment here." "Install that: sudo apt-get install python3-venv (elsewhere it is part of Python)."
    python -m pip install --quiet --disable-pip-version-check --requirement tools/requirements.txt
    cp tools/requirements.txt "$tools/python/" # last: it says that all of them are installed
}

# The two workspaces: the service with its library, and Berth's tools.
both() {
    local cargo=$1
    shift
    cargo "$cargo" --manifest-path Cargo.toml "$@"
    cargo "$cargo" --manifest-path tools/Cargo.toml "$@"
}

check_format() { both fmt --all --check -- --color never; }
check_clippy() { both clippy --locked --workspace --all-targets --all-features -- --deny warnings; }
check_doc() {
    export RUSTDOCFLAGS='--deny warnings'
    both doc --locked --workspace --no-deps --document-private-items
}
check_imports() { tools/imports.sh; }
check_deny() { both deny --locked check bans licenses sources; }
# Not in the list: what it finds does not depend on the change, and it asks GitHub. The workflow runs it every week.
check_advisories() { both deny --locked check advisories; }

# files PATTERN…: the paths of these files in the repository.
files() { git ls-files --cached --others --exclude-standard -- "$@"; }

# Every file whose first line says that a shell runs it.
check_shellcheck() {
    mapfile -t scripts < <(files | xargs -d '\n' awk 'FNR == 1 && /^#!.*sh$/ { print FILENAME } { nextfile }')
    shellcheck --external-sources --source-path=SCRIPTDIR:. "${scripts[@]}"
}

check_hadolint() {
    # Left out: images on the images that are built here, which have no tag.
    mapfile -t dockerfiles < <(files Dockerfile '*/Dockerfile' ':!tools/e2e/fixtures/load')
    # DL3008: time zones should be the newest. DL4006: `sed` ends the pipes; cargo refuses an empty source.
    hadolint --ignore DL3008 --ignore DL4006 "${dockerfiles[@]}"
}

check_yamllint() {
    mapfile -t documents < <(files '*.yml' '*.yaml')
    # Lines as long as elsewhere; a file holds one document; workflows say `on:`; Dependabot puts one space before a comment.
    yamllint --strict --config-data '{extends: default, rules: {line-length: {max: 140}, document-start: disable,
        truthy: {check-keys: false}, comments: {min-spaces-from-content: 1}}}' "${documents[@]}"
}

check_schema() {
    check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
    check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
    with_apache
    check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml deploy/compose/bundle.yml target/apache.yml
}

# Pedantic: by default it says nothing of `permissions: write-all`.
check_zizmor() { zizmor --offline --no-progress --persona pedantic --strict-collection .github; }

. tools/lint_servers.sh

[[ ${1-} != -h && ${1-} != --help ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' tools/lint.sh; exit; }
[[ ${1-} != --list ]] || { printf '%s\n' "${checks[@]}"; exit; }

if (($# != 1)); then
    (($#)) || set -- tools "${checks[@]}"
    failed=()
    for check in "$@"; do
        echo "== $check"
        tools/lint.sh "$check" || failed+=("$check")
    done
    ((${#failed[@]} == 0)) || die "Failed: ${failed[*]}" "The errors are above."
    exit
fi

[[ " tools advisories ${checks[*]} " == *" $1 "* ]] || die "There is no check $1." "These are the checks: tools/lint.sh --list"
"check_$1"
