#!/usr/bin/env bash
# What the scripts of this folder share. To be sourced after deploy/local/lib.sh, once $service is known.
# Nothing is stored beside the engine: what was under way is read from its containers and tags.

# shellcheck disable=SC2034,SC2154 # why: variables that these scripts share

# Children don't inherit the lock (descriptor 9): it must vanish with the script that took it, however that ends.
docker() { command docker "$@" 9>&-; }
pause() { sleep "$1" 9>&-; }

# open_project: sets model (what Compose makes of its files), project, name (of the service's image in the Compose file), repository (that without tag), settings
# (Compose's hash of the service's settings) and trial (the name of the container on trial, see prove.sh), and takes the
# lock. What a killed rollout left of a trial goes.
open_project() {
    model=$(docker compose config 2>&1) ||
        die "Compose can't read the project: ${model##*$'\n'}" "Run this in the project, or name its file: COMPOSE_FILE=…"
    project=$(sed -n 's/^name: //p' <<<"$model")
    settings=$(docker compose config --hash "$service") || die "There is no service $service in the Compose file." "Name one: --service …"
    settings=${settings#* } && settings=${settings:0:12}
    name=$(service_image <<<"$model")
    repository=${name%@*} && [[ ${repository##*/} != *:* ]] || repository=${repository%:*}
    trial=$project-$service-trial
    lock=$cache/rollout-$project-$service.lock
    mkdir -p "$cache"
    exec 9>>"$lock"
    flock --nonblock 9 ||
        die "Another rollout of $service in the project $project is under way." "Wait for its end, or stop it with Ctrl-C there; then try again."
    remove_trial
    trap remove_trial EXIT
}

# The service's image in what `docker compose config` prints; Compose makes up a name where the file has none.
service_image() {
    local image
    image=$(awk -v service="  $service:" '
        /^[^ ]/ { in_services = $0 == "services:" } /^  [^ ]/ { mine = in_services && $0 == service }
        mine && $1 == "image:" && /^    [^ ]/ { print $2 }')
    echo "${image:-$project-$service}"
}

# mention_front: after a build, says so if nginx, whose image has the site's files, runs an older one; that one keeps the
# name, or the next `docker compose up` would replace nginx untried
mention_front() {
    local runs its_name
    [[ $from == build ]] || return 0
    runs=$(image_of "$front") its_name=$(service=nginx service_image <<<"$model")
    [[ $runs != "$(image_id "$its_name")" ]] || return 0
    docker tag "$runs" "$its_name"
    say "Files of the site, or nginx itself, have changed too, and are still the old ones. To bring them, with a gap of about a second: make up"
}

image_id() { docker image inspect --format '{{.Id}}' "$1" 2>/dev/null; }

# containers: a line for each container of the service: id, state, image id/hash of its settings
containers() {
    local ids label=com.docker.compose
    ids=$(docker ps --all --quiet --filter "label=$label.project=$project" --filter "label=$label.service=$service" \
        --filter "label=$label.oneoff=False")
    # shellcheck disable=SC2086 # one word per id
    [[ -z $ids ]] || docker inspect --format "{{.Id}} {{.State.Status}} {{.Image}}/{{slice (index .Config.Labels \"$label.config-hash\") 0 12}}" $ids
}

# list new|old|all [up|idle]: ids of the replicas that are as $wanted (image id/hash), or not, or either; those that are
# up, which includes those that crash again and again, or those that are not
list() {
    containers | awk -v wanted="$wanted" -v age="$1" -v state="${2-}" '
        { is_new = $3 == wanted; is_up = $2 ~ /^(running|restarting|paused)$/ }
        (age == "all" || (age == "new") == is_new) && (state == "" || (state == "up") == is_up) { print $1 }'
}
count() { list "$@" | wc -l; }

# image_of ID: the id of its image
image_of() { docker inspect --format '{{.Image}}' "$1"; }

# retire ID…: stops them, all at once and with the time that the Compose file gives them, and removes them
retire() {
    (($#)) || return 0
    say "   stopping$(printf ' %.12s' "$@")"
    docker stop "$@" >/dev/null 2>&1 || true
    docker rm --force "$@" >/dev/null
}

# compose_new ARGUMENT…: `docker compose …` while $image bears the name in the Compose file, for Compose looks for no other.
# In a session of its own, so that the name is given back whatever becomes of this script.
# shellcheck disable=SC2016 # for the inner one
compose_new() {
    setsid flock "$lock.name" bash -c '
        before=$(docker image inspect --format "{{.Id}}" "$1"); docker tag "$0" "$1"
        docker compose --progress plain "${@:2}"; status=$?
        docker tag "$before" "$1"; exit $status' "$image" "$name" "$@" >"$cache/rollout.log" 2>&1 </dev/null 9>&- &
    wait $!
}

# remove_trial: the one under way or left behind, once the name is given back
remove_trial() { flock "$lock.name" docker rm --force "$trial" >/dev/null 2>&1 9>&- || true; }

# make_replicas NUMBER: has Compose make that many more. They don't run yet. Only Compose gives them the labels by which
# it knows them.
make_replicas() {
    compose_new up --no-start --no-deps --no-build --pull never --no-recreate --scale "$service=$(($(count all) + $1))" "$service" ||
        die "Compose can't make the containers: $(tail -n 1 "$cache/rollout.log")" "All of it: $cache/rollout.log"
}

# find_image: sets $image to the id of the image to roll out: REF as it is, or what $from says.
find_image() {
    case $from in
    name)
        # The name is still the old one's: what was interrupted goes on.
        [[ $image || ! $leftover || $others == 0 || $(image_id "$name") != "$(image_of "$(list old up | head -n 1)")" ]] ||
            image=$repository:$next_tag
        image=${image:-$name} ;;
    build)
        "$here/../local/images.sh" 9>&- || exit 1
        image=$name ;;
    rollback)
        image=$repository:previous
        # Going back in the middle is going back to those that are still there.
        [[ ! $leftover || $others == 0 ]] || image=$(image_of "$(list old up | head -n 1)")
        image_id "$image" >/dev/null || die "No image of $service ran before this one." "Name one: --image …" ;;
    esac
    image_id "$image" >/dev/null || docker pull "$image" >&2 ||
        die "There is no image $image, here or in a registry." "\`docker image ls\` shows what is here."
    image=$(image_id "$image")
}
