#!/usr/bin/env bash
# Makes the images that `make bench` needs: Berth's own, and berth-bench-tools, -python and -empty (bench/Dockerfile).
# When nothing changed: done in some seconds.
# usage: bench/images.sh        (BASES, … as in deploy/local/bases.sh)

. "$(dirname "$0")/../deploy/local/lib.sh"

# What is measured has these names, whatever .env says.
COMPOSE_DISABLE_ENV_FILE=1 APP_IMAGE='' FRONT_IMAGE='' deploy/local/images.sh --bundle

# The engine's own builder: only that one sees the engine's images.
BUILDX_BUILDER=${BUILDX_BUILDER:-$(docker context inspect --format '{{.Name}}')}
export BUILDX_BUILDER BUILDX_NO_DEFAULT_ATTESTATIONS=1

bases=()
while read -r base; do bases+=(--build-arg "$base"); done < <(deploy/local/bases.sh && deploy/local/bases.sh bench)

# image STAGE FOLDER. Marked as what Compose builds is, so that `make clean` finds it.
image() {
    step "bench-$1" "Building the image berth-bench-$1" "Mend $2/Dockerfile, then try again." \
        docker build --target "$1" --tag "berth-bench-$1" --label "com.docker.compose.project=$(project)" "${bases[@]}" "$2"
}
for stage in build site-tool; do image "$stage" .; done
for stage in tools python empty; do image "$stage" bench; done
