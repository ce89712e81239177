#!/usr/bin/env bash
# Makes berth-test-NAME, an image that the tests have for themselves, from tests/NAME/Dockerfile: a browser, a registry, or
# Kamal with a server. When it is there and nothing changed: done in a second.
# usage: tests/image.sh browser|registry|kamal        (BASES, … as in deploy/local/bases.sh)

. "$(dirname "$0")/../deploy/local/lib.sh"

[[ ${1-} =~ ^(browser|registry|kamal)$ ]] || die "There is no image ${1:-without a name}." "Name one: tests/image.sh browser|registry|kamal"

base=$(deploy/local/bases.sh "$1")
# The engine's own builder: only that one sees the engine's images.
BUILDX_BUILDER=${BUILDX_BUILDER:-$(docker context inspect --format '{{.Name}}')}
export BUILDX_BUILDER BUILDX_NO_DEFAULT_ATTESTATIONS=1

# Marked as what Compose builds is, so that `make clean` finds it.
step "$1" "Building the image berth-test-$1" "Mend tests/$1/Dockerfile, then try again." \
    docker build --tag "berth-test-$1" --label "com.docker.compose.project=$(project)" --build-arg "$base" "tests/$1"
