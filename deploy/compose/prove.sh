#!/usr/bin/env bash
# Whether what is new is good. To be sourced by rollout, after lib.sh.

# shellcheck disable=SC2034,SC2154 # why: variables that these scripts share

declare -A proven=()

# try: runs one container that nginx does not know, so that nobody meets an image that has errors for all, until it is
# healthy and has answered; false, with $why and its last words, if that fails
try() {
    say "Trying one new container of $service, unknown to nginx"
    if ! compose_new run --detach --no-deps --name "$trial" "$service"; then
        why="can't be started"
        quote <"$cache/rollout.log"
    elif await "$trial" && answered "$trial" statuses "$trial" "$trial" 4; then
        remove_trial
        return
    else
        last_words "$trial"
    fi
    return 1
}

# prove ID…: waits until each is healthy and answers through nginx; returns once all are, and else doesn't return
prove() {
    local id waiting=()
    for id; do [[ ${proven[$id]-} ]] || waiting+=("$id"); done
    for id in "${waiting[@]}"; do
        await "$id" || fail "$id"
        say "   ${id:0:12} is healthy"
    done
    for id in "${waiting[@]}"; do
        answered "$id" through_nginx "$id" || fail "$id"
        proven[$id]=yes
        say "   ${id:0:12} answers through nginx: ${#proven[@]} of $replicas"
    done
}

# health ID: "running 0 healthy" if it is, and has never crashed
health() {
    docker inspect --format '{{.State.Status}} {{.RestartCount}} {{with .State.Health}}{{.Status}}{{else}}healthy{{end}}' "$1" || true
}

# await ID: until it is healthy; false, with $why, if that takes too long or it has ended
await() {
    local deadline=$((SECONDS + timeout))
    while ((SECONDS < deadline)); do
        case $(health "$1") in
        "running 0 healthy") return ;;
        "running 0 "*) pause 0.2 ;;
        *) why="has crashed" && return 1 ;;
        esac
    done
    why="is not healthy after $timeout s"
    return 1
}

# answered ID COMMAND…: asks by that command until there are answers; false, with $why, if there are none in time, or errors
answered() {
    local worst deadline=$((SECONDS + timeout))
    until worst=$("${@:2}" | grep -v ^000 | sort | tail -n 1) && [[ $worst ]]; do
        await "$1" || return 1
        why="does not answer after $timeout s"
        ((SECONDS < deadline)) || return 1
        pause 0.5
    done
    why="answers ${worst%% *} at $path"
    ((${worst%% *} < 500))
}

# setting ID NAME: the value of a variable of a container
setting() { docker inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$1" | sed -n "s/^$2=//p"; }

# allowed_host ID: a name by which it may be asked
allowed_host() {
    local host
    read -r host < <(setting "$1" ALLOWED_HOSTS | sed 's/,.*//; s/^[ .]*//')
    [[ ! $host || $host == \* ]] && echo localhost || echo "$host"
}

# statuses ID HOST NUMBER: the status and the replica of so many answers of that host, asked by a name that container ID
# allows; in nginx's container, for there is a curl
statuses() {
    local asked=$path
    # In maintenance a probe is all that is answered.
    [[ $(setting "$1" MAINTENANCE) != on ]] || asked=/health/ready
    docker exec "$front" curl --silent --max-time 5 --output /dev/null --write-out '%{http_code} %header{x-served-by}\n' \
        --header "Host: $(allowed_host "$1")" --connect-to "::$2:8080" "http://127.0.0.1:8080$asked#[1-$3]" || true
}

# through_nginx ID: the same of its answers through nginx, none as long as nginx doesn't know it
through_nginx() {
    if [[ $(setting "$1" SERVED_BY) == on && $(setting "$front" MAINTENANCE) != on ]]; then
        statuses "$1" 127.0.0.1 $((4 * $(count all up))) | grep "${1:0:12}"
    else
        # It doesn't tell who it is, or nginx passes nothing on: it is asked directly, and nginx asks the DNS every 2 s.
        pause 4
        statuses "$1" "${1:0:12}" 1
    fi
}

# last_words ID: the end of its log
last_words() { docker logs --tail 15 "$1" 2>&1 | quote; }
quote() { tail -n 15 | sed 's/^/   | /' >&2; }

# fail ID: removes the new ones; where old ones are gone already, those that are healthy stay until others are back; and
# stops, saying $why.
fail() {
    local id bad=() what="A new container of $service $why; its last words are above."
    [[ $1 == "$trial" ]] || last_words "$1"
    for id in $(list new); do
        [[ $id != "$1" && $(count old up) -lt $replicas && $(health "$id") == "running 0 healthy" ]] || bad+=("$id")
    done
    retire "${bad[@]}"
    docker image rm "$repository:next-$project-$settings" >/dev/null
    docker tag "$old" "$name"
    if (($(count old up) < replicas)); then
        [[ ! ${ROLLOUT_GOES_BACK-} ]] || die "$what" "Not all replicas could be replaced. What runs: docker compose ps"
        say "Some were replaced already: going back"
        trap - EXIT
        exec 9>&-
        ROLLOUT_GOES_BACK=yes "$here/rollout" --image "$old" --service "$service" --replicas "$replicas" --timeout "$timeout" --path "$path" --one-by-one ||
            die "$what" "Not all replicas could be replaced. What runs: docker compose ps"
    fi
    die "$what" "$replicas of the image before serve on. Mend the image, or the settings if you changed them, then try again."
}
