#!/usr/bin/env bash
# Runs cargo in the tools' workspace, and links every program statically: some of the proofs' run in empty images.
# usage: tools/e2e/cargo.sh COMMAND ARGUMENT…
set -euo pipefail
cd "$(dirname "$0")/../.."

# With a target, the flags do not count for what runs while compiling, which can't be static.
export CARGO_BUILD_TARGET=host-tuple RUSTFLAGS='-C target-feature=+crt-static' CARGO_TARGET_DIR=tools/target
exec deploy/local/cargo.sh "$1" --locked --manifest-path tools/Cargo.toml "${@:2}"
