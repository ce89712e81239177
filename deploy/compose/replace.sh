#!/usr/bin/env bash
# Replaces the one container of a service that publishes a port, such as nginx. To be sourced by rollout, after lib.sh.
# Two containers can't hold one port: all that takes time is done before, then one stops and the other starts. In
# between, about a second, connections are refused.

# shellcheck disable=SC2034,SC2154 # why: variables that these scripts share

replace() {
    local before after
    before=$(list all up | head -n 1)
    # What an interrupted one left.
    containers | awk -v id="$before" '$1 != id { print $1 }' | xargs --no-run-if-empty docker rm --force >/dev/null
    old=$(image_of "$before")
    if [[ $(count new) == 1 ]]; then
        docker tag "$image" "$name"
        say "Nothing to do: $service is of this image, with these settings"
        return
    fi

    docker tag "$old" "$name" # until the new one is proven
    try || die "The new $service $why; its last words are above." "Mend the image or the settings, then try again; nothing was changed."
    make_replicas 1
    after=$(list new)
    say "Replacing $service: ${before:0:12} by ${after:0:12}"
    swap "$before" "$after"
    if ! await "$after"; then
        last_words "$after"
        swap "$after" "$before"
        docker rm --force "$after" >/dev/null
        die "The new $service $why; its last words are above." "The old one is back. Mend the image or the settings, then try again."
    fi
    [[ $old == "$image" ]] || docker tag "$old" "$repository:previous"
    docker tag "$image" "$name"
    docker rm "$before" >/dev/null
    say "Done: $service is new. To go back: deploy/compose/rollout --service $service --rollback"
}

# swap FROM TO: in a session of its own, for it must get to its end whatever becomes of this script. While the old one
# finishes requests, it takes no new connections: it has 5 seconds for that.
# shellcheck disable=SC2016 # for the inner one
swap() { setsid bash -c 'docker stop --time 5 "$0"; docker start "$1"' "$@" 9>&- >/dev/null & wait $!; }
