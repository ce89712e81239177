#!/usr/bin/env bash
# Tests the service: format, clippy, unit tests, every case of tests/service.toml through the app alone and through nginx
# with two replicas, scaling, and the configuration. Prints a line for each step; the output is in target/test-logs/.
# Needs Rust on this machine, and Docker for what runs in containers.
# usage: tests/run.sh

. "$(dirname "$0")/../deploy/local/lib.sh"
logs=target/test-logs
. tests/steps.sh

deploy/local/cargo.sh --version >/dev/null
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin # as cargo.sh has it
channel=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
# The first call of a tool has rustup fetch the toolchain, if it has to.
for tool in 'cargo' 'cargo fmt' 'cargo clippy'; do
    said=$($tool --version 2>&1 </dev/null) || die "\`$tool\` does not run: $(grep -m 1 -i error <<<"$said")" \
        "Install Rust $channel: rustup toolchain install $channel --component rustfmt,clippy (on Debian without rustup also: rustfmt, rust-clippy)."
done

# As `cargo clippy` has it, but with a build in place of a check: the tests need these dependencies built.
clippy() {
    RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings \
        cargo build --locked --workspace --all-targets
}
cargo_test() { cargo test --locked --no-fail-fast "$@"; }
# app PART…: those tests of tests/app. Without capture, for the lines "PROVED" and "SKIPPED".
app() { cargo_test --test app -- --nocapture "$@"; }
# Unit tests, and the test programs and modules that you add.
yours() {
    local status=0 program
    cargo_test --package app --lib --bins || status=$?
    cargo_test --package app --doc || status=$?
    for program in tests/*.rs tests/*/main.rs; do
        program=${program#tests/} program=${program%/main.rs}
        [[ $program == app || $program == '*'* ]] || cargo_test --test "${program%.rs}" -- --nocapture || status=$?
    done
    app --skip service:: --skip scaling:: --skip configuration:: || status=$?
    return $status
}

# The images are built beside the first steps, which need none: a build waits for the network, too. Their names are these,
# whatever .env says.
building=
if docker version >/dev/null 2>&1; then
    set -m # a process group of its own, which ends with this script
    env COMPOSE_DISABLE_ENV_FILE=1 APP_IMAGE= FRONT_IMAGE= deploy/local/images.sh >"$logs/building.log" 2>&1 </dev/null &
    set +m
    building=$!
    trap 'kill -- "-$building" 2>/dev/null || true' EXIT
fi
# Shows the progress of the build, and waits for it.
built() {
    tail --lines=+1 --follow --pid="$building" "$logs/building.log" >&2
    wait "$building"
}

check format "the code has the format of rustfmt" cargo fmt --all --check -- --color never
check clippy "clippy has no warning" clippy
tests library "the library that the service stands on works" cargo_test --workspace --exclude app
tests yours "your tests pass" yours

images=yes
if [[ ! $building ]]; then skip images "no Docker engine answers"
elif ! show images built; then images=; fi
if [[ $images ]]; then
    tests service "the service answers as its table says" app service::
    tests scaling "scaling loses no request" app scaling::
    tests configuration "Compose, nginx and the manuals agree with src/settings.rs" app configuration::
else
    for name in service scaling configuration; do skip "$name" "the images could not be built"; done
fi

summary
