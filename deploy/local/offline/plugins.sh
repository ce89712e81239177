#!/usr/bin/env bash
# Provides Docker's plugins Compose v2 and Buildx: where they are missing, takes them from Debian's packages and puts them
# into your own plugin folder (${DOCKER_CONFIG:-~/.docker}/cli-plugins).
# usage: deploy/local/offline/plugins.sh

. "$(dirname "$0")/../lib.sh"
. deploy/local/offline/debian.sh

# plugin, oldest supported version, Debian's package
wanted="compose 2.21 docker-compose
buildx 0.17 docker-buildx"

version() { docker "$1" version 2>/dev/null | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1 || true; }

missing=() packages=()
while read -r plugin oldest package; do
    installed=$(version "$plugin")
    [[ -z $installed ]] || ! at_least "$oldest" "$installed" || continue
    [[ -z $installed || ! -e $plugins/docker-$plugin ]] ||
        die "$plugins/docker-$plugin is too old: $installed; $oldest is needed." "Update it, or remove that file and try again: a newer one is then fetched."
    missing+=("$plugin") packages+=("$package")
done <<<"$wanted"
((${#missing[@]})) || exit 0

by_hand="Install them: on Debian 13 or newer and on Fedora docker-compose and docker-buildx, on Ubuntu docker-compose-v2 and
       docker-buildx, elsewhere see https://docs.docker.com/compose/install/linux/. Or name a Debian mirror that can be reached: DEBIAN_MIRROR=…"

room "$cache" 400 "fetching Docker's plugins"
room "$plugins" 150 "Docker's plugins"
work_folder
say "Docker's plugins ${missing[*]} are missing: taking them from Debian's packages"
debian_ready || die "Docker's plugins ${missing[*]} are missing, and can't be fetched: $why." "$by_hand"

# Runs each plugin once before moving it into the plugin folder.
get() {
    local plugin from=$work/root/usr/libexec/docker/cli-plugins
    debian_unpack "$work/root" "${packages[@]}" && mkdir -p "$plugins" && new=$(mktemp -d "$plugins/.new.XXXXXX") || return 1
    for plugin in "${missing[@]}"; do
        "$from/docker-$plugin" docker-cli-plugin-metadata && cp "$from/docker-$plugin" "$new/" || return 1
    done
    mv "$new"/* "$plugins/"
}
new=''
trap 'rm -rf "$work" ${new:+"$new"}' EXIT
step plugins "Putting them into $plugins" "$by_hand" get
