#!/usr/bin/env bash
# Makes berth-test-kamal, Kamal and a server for tests/kamal.rs. When it is there and nothing changed: done in a second.
# usage: tests/kamal/image.sh          (BASES, KAMAL_IMAGE as in deploy/local/bases.sh)

. "$(dirname "$0")/../../deploy/local/lib.sh"

base=$(deploy/local/bases.sh kamal)
# The engine's own builder: only that one sees the engine's images.
BUILDX_BUILDER=${BUILDX_BUILDER:-$(docker context inspect --format '{{.Name}}')}
export BUILDX_BUILDER BUILDX_NO_DEFAULT_ATTESTATIONS=1

# Marked as what Compose builds is, so that `make clean` finds it.
step kamal "Building the image of Kamal" "Mend tests/kamal/Dockerfile, then try again." \
    docker build --tag berth-test-kamal --label "com.docker.compose.project=$(project)" --build-arg "$base" tests/kamal
