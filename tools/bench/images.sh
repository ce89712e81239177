#!/usr/bin/env bash
# Builds the images of `make bench`: Berth's own, and berth-bench-tools, -python and -empty (Dockerfile).
# Takes some seconds when nothing has changed.
# usage: tools/bench/images.sh        (BASES, … as in deploy/local/offline/bases.sh)

. "$(dirname "$0")/../../deploy/local/lib.sh"

# The benchmark expects the default names, whatever .env says.
COMPOSE_DISABLE_ENV_FILE=1 APP_IMAGE='' FRONT_IMAGE='' deploy/local/images.sh --bundle

# The engine's own builder: no other sees the engine's images.
BUILDX_BUILDER=${BUILDX_BUILDER:-$(docker context inspect --format '{{.Name}}')}
export BUILDX_BUILDER BUILDX_NO_DEFAULT_ATTESTATIONS=1

bases=()
while read -r base; do bases+=(--build-arg "$base"); done < <(deploy/local/offline/bases.sh && deploy/local/offline/bases.sh bench)

# image STAGE FOLDER: builds a stage. The label of Compose's images lets `make clean` find it.
image() {
    step "bench-$1" "Building the image berth-bench-$1" "Mend $2/Dockerfile, then try again." \
        docker build --target "$1" --tag "berth-bench-$1" --label "com.docker.compose.project=$(project)" "${bases[@]}" "$2"
}
for stage in build assets; do image "$stage" .; done
for stage in tools python empty; do image "$stage" tools/bench; done
