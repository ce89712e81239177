#!/usr/bin/env bash
# Builds the tools, since the proofs start several of them, and runs one.
# usage: tools/e2e/run.sh PROGRAM ARGUMENT…
set -euo pipefail
cd "$(dirname "$0")/../.."

tools/e2e/cargo.sh build --quiet --workspace --bins --examples
exec "tools/target/$(deploy/local/cargo.sh -vV | sed -n 's/^host: //p')/debug/$1" "${@:2}"
