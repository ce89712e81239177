#!/usr/bin/env bash
# Makes berth-test-registry, which tests/push.rs pushes to. When it is there and nothing changed: done in a second.
# usage: tests/registry/image.sh       (BASES, REGISTRY_IMAGE as in deploy/local/bases.sh)

. "$(dirname "$0")/../../deploy/local/lib.sh"

base=$(deploy/local/bases.sh registry)
# The engine's own builder: only that one sees the engine's images.
BUILDX_BUILDER=${BUILDX_BUILDER:-$(docker context inspect --format '{{.Name}}')}
export BUILDX_BUILDER BUILDX_NO_DEFAULT_ATTESTATIONS=1

# Marked as what Compose builds is, so that `make clean` finds it.
step registry "Building the registry's image" "Mend tests/registry/Dockerfile, then try again." \
    docker build --tag berth-test-registry --label "com.docker.compose.project=$(project)" --build-arg "$base" tests/registry
