#!/usr/bin/env bash
# Stops and removes the containers and networks of up.sh; with --images also the images made here, not pulled ones.
# usage: deploy/local/down.sh [--images]

. "$(dirname "$0")/lib.sh"

deploy/local/preflight.sh
docker compose version >/dev/null 2>&1 || die "The Compose plugin is missing; the stack was started with it." "Fetch it: deploy/local/offline/plugins.sh"
step down "Stopping" "To see the containers: docker compose ps -a" docker compose --progress plain down --remove-orphans
[[ ${1-} == --images ]] || exit 0

own_images() {
    docker image ls --all --quiet --filter "label=com.docker.compose.project=$(project)"
    docker image ls --quiet --filter 'reference=berth-base/*'
}
made=$(own_images | sort -u)
# shellcheck disable=SC2086 # one word per image
[[ -z $made ]] || step clean "Removing the images" "A container may still use an image: docker ps -a" docker image rm --force $made
rm -rf "$cache"
say "Not removed: Docker's plugins in $plugins, and its build cache (docker builder prune)"
