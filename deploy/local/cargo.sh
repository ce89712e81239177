#!/usr/bin/env bash
# Runs cargo; if it is missing, says how to install it.
# usage: deploy/local/cargo.sh ARGUMENT…

. "$(dirname "$0")/lib.sh"

PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin # rustup's folder, in a shell older than the installation
command -v cargo >/dev/null || die "Rust is missing: there is no \`cargo\`." "Install it with rustup (https://rustup.rs), then try again."
exec cargo "$@"
