#!/usr/bin/env bash
# Stops and removes what up.sh started; with --images also the images that were made, not those that were pulled.
# usage: deploy/local/down.sh [--images]

. "$(dirname "$0")/lib.sh"

deploy/local/preflight.sh
docker compose version >/dev/null 2>&1 || die "The Compose plugin is missing, with which the stack was started." "Have it fetched: deploy/local/plugins.sh"
step down "Stopping" "See what \`docker compose ps -a\` says." docker compose --progress plain down --remove-orphans
[[ ${1-} == --images ]] || exit 0

ours() {
    docker image ls --all --quiet --filter "label=com.docker.compose.project=$(project)"
    docker image ls --quiet --filter 'reference=berth-base/*'
}
made=$(ours | sort -u)
# shellcheck disable=SC2086 # one word per image
[[ -z $made ]] || step clean "Removing the images" "A container may still use one: docker ps -a" docker image rm --force $made
rm -rf "$cache"
say "Left in place: Docker's plugins in $plugins, and its build cache (docker builder prune)"
