#!/usr/bin/env bash
# Replaces the one container of a service that publishes a port, such as nginx. To be sourced by rollout, after lib.sh.
# Two containers can't hold one port: all that takes time is done before, then one stops and the other starts. In
# between, about a second, connections are refused.

# shellcheck disable=SC2034,SC2154 # why: variables that these scripts share

replace() {
    local before trial after
    before=$(list all up | head -n 1)
    # What an interrupted one left.
    containers | awk -v id="$before" '$1 != id { print $1 }' | xargs --no-run-if-empty docker rm --force >/dev/null
    in_force=$(image_of "$before")
    trap 'docker tag "$in_force" "$name"' EXIT
    if [[ $(count new) == 1 ]]; then
        say "Nothing to do: $service is of this image, with these settings"
        return
    fi

    say "Trying the new $service beside the running one"
    docker tag "$image" "$name"
    trial=$(docker compose run --detach --no-deps "$service" 2>"$cache/rollout.log") ||
        die "The new $service can't be started: $(tail -n 1 "$cache/rollout.log")" "Mend the image or the settings, then try again; nothing was changed."
    docker tag "$in_force" "$name"
    trap 'docker tag "$in_force" "$name"; docker rm --force "$trial" >/dev/null' EXIT
    await "$trial" || die "The new $service does not get healthy; its last words are above." "Mend the image or the settings, then try again; nothing was changed."
    docker rm --force "$trial" >/dev/null
    trap 'docker tag "$in_force" "$name"' EXIT

    make_replicas 1 "$image"
    after=$(list new)
    say "Replacing $service: ${before:0:12} by ${after:0:12}"
    swap "$before" "$after"
    if ! await "$after"; then
        swap "$after" "$before"
        docker rm --force "$after" >/dev/null
        die "The new $service does not get healthy; its last words are above." "The old one is back. Mend the image or the settings, then try again."
    fi
    [[ $in_force == "$image" ]] || docker tag "$in_force" "$repository:previous"
    in_force=$image
    docker rm "$before" >/dev/null
    say "Done: $service is new. To go back: deploy/compose/rollout --service $service --rollback"
}

# swap FROM TO: in a session of its own, for it must get to its end whatever becomes of this script. While the old one
# finishes requests, it takes no new connections: it has 5 seconds for that.
# shellcheck disable=SC2016 # for the inner one
swap() { setsid bash -c 'docker stop --time 5 "$0"; docker start "$1"' "$@" 9>&- >/dev/null & wait $!; }

# await ID: until it is healthy; false, and its last words shown, if that takes too long or it has ended
await() {
    local start=$SECONDS
    while ((SECONDS - start < timeout)); do
        case $(docker inspect --format '{{.State.Status}} {{with .State.Health}}{{.Status}}{{else}}healthy{{end}}' "$1") in
        "running healthy") return ;;
        "running "*) pause 0.2 ;;
        *) break ;;
        esac
    done
    last_words "$1"
    return 1
}
