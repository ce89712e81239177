#!/usr/bin/env bash
# Runs cargo, and says what to do where there is none.
# usage: deploy/local/cargo.sh ARGUMENT…

. "$(dirname "$0")/lib.sh"

PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin # where rustup puts it, in a shell that was not started anew since
command -v cargo >/dev/null || die "Rust is missing: there is no \`cargo\`." "Install it with rustup (https://rustup.rs), then try again."
exec cargo "$@"
