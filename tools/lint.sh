#!/usr/bin/env bash
# Checks what can be checked without running it: code, dependencies, scripts, images, nginx, Compose, workflows.
# The tools come into target/tools/ at the first use, in the versions that are named here and in tests/requirements.txt.
# usage: tests/lint.sh [CHECK…]        all of them, unless some are named; --list prints their names
set -euo pipefail
cd "$(dirname "$0")/.."

checks=(fmt clippy doc deny shellcheck hadolint yamllint schema zizmor checkov compose compose-lint nginx apache gixy)
tools=$PWD/target/tools
export PATH=$tools/bin:$tools/python/bin:$PATH

die() { printf 'berth: %s\n       %s\n' "$1" "$2" >&2; exit 1; }

check_tools() {
    # A debug build: it runs for a second, and takes a third of the time to make.
    export CARGO_PROFILE_DEV_DEBUG=0
    [[ -x $tools/bin/cargo-deny && $(cargo-deny --version) == *" 0.20.2" ]] ||
        cargo install --locked --debug --force --root "$tools" --target-dir "$tools/build" cargo-deny@0.20.2
    rm -rf "$tools/build"
    cmp -s tests/requirements.txt "$tools/python/requirements.txt" && return
    rm -rf "$tools/python"
    python3 -m venv "$tools/python" ||
        die "python3 can't make a virtual environment here." "Install that: sudo apt-get install python3-venv (elsewhere it is part of Python)."
    python -m pip install --quiet --disable-pip-version-check --requirement tests/requirements.txt
    # The interfaces of Amazon's services. In a folder of its own: checkov wants an older one beside it.
    python -m pip install --quiet --disable-pip-version-check --target "$tools/botocore" --upgrade botocore==1.43.11
    cp tests/requirements.txt "$tools/python/" # last: it says that all of them are there
}

# The tool that makes the site is a crate of its own, built in release mode as tests/common/site.rs does it.
site=(--manifest-path deploy/site/Cargo.toml)
built=("${site[@]}" --target-dir target/site --release)

check_fmt() { cargo fmt --check && cargo fmt --check "${site[@]}"; }
check_clippy() {
    cargo clippy --locked --all-targets -- --deny warnings
    cargo clippy --locked --all-targets "${built[@]}" -- --deny warnings
}
check_doc() {
    export RUSTDOCFLAGS='--deny warnings'
    cargo doc --locked --no-deps --document-private-items
    cargo doc --locked --no-deps --document-private-items "${built[@]}"
}
check_deny() { deny bans licenses sources; }
# Not among the checks: what it finds does not depend on the change, and it asks GitHub. The workflow runs it every week.
check_advisories() { deny advisories; }
deny() { cargo deny --locked check "$@" && cargo deny --locked "${site[@]}" check "$@"; }

# Every file whose first line says that a shell runs it.
check_shellcheck() {
    mapfile -t scripts < <(find . \( -path ./target -o -path ./.git \) -prune -o -type f \
        -exec awk 'FNR == 1 && /^#!.*sh$/ { print FILENAME } { nextfile }' {} +)
    shellcheck --external-sources --source-path=SCRIPTDIR:. "${scripts[@]}"
}

check_hadolint() {
    # DL3008: time zones should be the newest. DL4006: `sed` ends the pipes; cargo refuses what it makes of nothing.
    hadolint --ignore DL3008 --ignore DL4006 Dockerfile deploy/*/Dockerfile tests/browser/Dockerfile tests/registry/Dockerfile tests/kamal/Dockerfile bench/Dockerfile
}

check_yamllint() {
    # Lines as long as elsewhere; a file holds one document; workflows say `on:`; Dependabot puts one space before a comment.
    yamllint --strict --config-data '{extends: default, rules: {line-length: {max: 140}, document-start: disable,
        truthy: {check-keys: false}, comments: {min-spaces-from-content: 1}}}' .github docker-compose.yml deploy
}

check_schema() {
    check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
    check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
    with_apache
    check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml deploy/compose/bundle.yml target/apache.yml
}

check_zizmor() { zizmor --offline --strict-collection .github; }
check_checkov() {
    # CKV_DOCKER_7: it takes `scratch` for an image without a tag; hadolint (DL3006, DL3007) looks at the others.
    # bench, tests/load, tests/browser, tests/registry, tests/kamal: images that no one ships. deploy/heroku, deploy/dokku: the
    # shipped one as it is.
    checkov --quiet --compact --skip-download --framework dockerfile github_actions --skip-check CKV_DOCKER_7 \
        --directory . --skip-path target --skip-path tests/load --skip-path tests/browser --skip-path tests/registry \
        --skip-path tests/kamal --skip-path bench --skip-path deploy/heroku --skip-path deploy/dokku
}
check_compose() {
    docker compose config --quiet
    docker compose --file deploy/compose/bundle.yml config --quiet
    with_apache
}
# What Compose makes of the two files: a linter knows nothing of `!reset`.
with_apache() { docker compose --file docker-compose.yml --file deploy/compose/apache.yml config >target/apache.yml; }
check_compose-lint() {
    with_apache
    cat >target/compose-lint.yml <<'END'
rules:
  CL-0004: {exclude_services: {apache: built here, app: built here, bundle: built here, nginx: built here}}
  CL-0005: {exclude_services: {apache: the same, bundle: the same, nginx: it is the front; PUBLISH narrows it}}
END
    compose-lint check --fail-on low --config target/compose-lint.yml --strict-config --no-env docker-compose.yml \
        deploy/compose/bundle.yml target/apache.yml
}

# The configuration as the image's entrypoint makes it, in a container as bare as the one that Compose runs.
bare() { docker run --rm --read-only --tmpfs /tmp --cap-drop ALL --network none "$@"; }
check_nginx() { bare berth-nginx nginx "${1:--t}"; }
check_apache() { bare berth-apache /usr/local/apache2/bin/httpd -f /etc/berth/httpd.conf -t; }
# The same in the bundle, from SIGTERM on.
draining() {
    bare --env APP=unix:/tmp/berth.sock --entrypoint sh berth-bundle -c "/etc/nginx/entrypoint.sh true &&
        echo 'include /etc/nginx/drain.conf;' >> /tmp/berth/listen.conf && nginx -T"
}

check_gixy() {
    check_nginx -T >target/nginx.conf
    draining >target/nginx-drain.conf
    # try_files_is_evil_too: a cache of open files would save less than a tenth, and go on with a file that was replaced.
    # worker_rlimit_nofile_vs_connections: an idle client takes one, and tests/relations.rs counts the others.
    gixy --skips try_files_is_evil_too,worker_rlimit_nofile_vs_connections target/nginx.conf target/nginx-drain.conf
}

[[ ${1-} != -h && ${1-} != --help ]] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' tests/lint.sh; exit; }
[[ ${1-} != --list ]] || { printf '%s\n' "${checks[@]}"; exit; }

if (($# != 1)); then
    (($#)) || set -- tools "${checks[@]}"
    failed=()
    for check in "$@"; do
        echo "== $check"
        tests/lint.sh "$check" || failed+=("$check")
    done
    ((${#failed[@]} == 0)) || die "Failed: ${failed[*]}" "What is wrong stands above."
    exit
fi

[[ " tools advisories ${checks[*]} " == *" $1 "* ]] || die "$1 is no check." "These are: tests/lint.sh --list"
"check_$1"
