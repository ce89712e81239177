#!/usr/bin/env bash
# Whether new replicas are good. To be sourced by rollout, after lib.sh.

# shellcheck disable=SC2034,SC2154 # why: variables that these scripts share

declare -A healthy=() proven=()

# prove ID…: waits until each is healthy and answers through nginx; returns once all are, and else doesn't return
prove() {
    local id state start=$SECONDS waiting
    while :; do
        waiting=()
        for id; do [[ ${proven[$id]-} ]] || waiting+=("$id"); done
        ((${#waiting[@]})) || return 0
        for id in "${waiting[@]}"; do
            state=$(docker inspect --format '{{.State.Status}} {{.RestartCount}} {{with .State.Health}}{{.Status}}{{else}}healthy{{end}}' "$id" || true)
            case $state in
            "running 0 healthy") [[ ${healthy[$id]-} ]] || { healthy[$id]=yes; say "   ${id:0:12} is healthy"; } ;;
            "running 0 "*) ;;
            *) fail "$id" "has crashed" ;;
            esac
        done
        ((${#healthy[@]} == ${#proven[@]})) || ask
        ((SECONDS - start < timeout)) ||
            fail "${waiting[0]}" "$([[ ${healthy[${waiting[0]}]-} ]] && echo does not answer through nginx || echo is not healthy) after $timeout s"
        pause 0.5
    done
}

# ask: marks those of $waiting that are healthy and answer through nginx, as the header X-Served-By tells: nginx then knows
# them.
ask() {
    local id answers status
    answers=$(through_nginx "http://127.0.0.1:8080$path#[1-$((4 * $(count all up)))]")
    for id in "${waiting[@]}"; do
        [[ ${healthy[$id]-} ]] || continue
        if docker inspect --format '{{.Config.Env}}' "$id" | grep -q '[[ ]SERVED_BY=on[] ]'; then
            status=$(awk -v id="${id:0:12}" '$2 == id { print $1 }' <<<"$answers" | sort -n | tail -n 1)
        else
            # It doesn't tell who it is: nginx's container asks it directly, and nginx asks the DNS every 2 s.
            status=$(through_nginx "http://$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' "$id" | cut -d ' ' -f 1):8080$path")
            if [[ $status == 000* ]]; then status=''; else pause 4; fi
        fi
        status=${status%% *}
        [[ ! $status || $status -lt 500 ]] || fail "$id" "answers $status at $path"
        [[ ! $status ]] || { proven[$id]=yes; say "   ${id:0:12} answers through nginx: ${#proven[@]} of $replicas"; }
    done
}

# through_nginx URL: the status and the replica of each answer, asked for in nginx's container, for there is a curl
through_nginx() {
    docker exec "$front" curl --silent --max-time 5 --output /dev/null --write-out '%{http_code} %header{x-served-by}\n' "$1" || true
}

# fail ID WHY: removes the new ones; where old ones are gone already, brings them back; and stops.
fail() {
    local id bad=() what="The new replica ${1:0:12} of $service $2; its last words are above."
    last_words "$1"
    for id in $(list new); do
        [[ ${proven[$id]-} && $(count old up) -lt $replicas ]] || bad+=("$id")
    done
    retire "${bad[@]}"
    docker image rm "$repository:next-$project-$settings" >/dev/null
    docker tag "$old" "$name" && in_force=$old
    if (($(count old up) < replicas)); then
        [[ ! ${ROLLOUT_GOES_BACK-} ]] || die "$what" "Not all replicas could be replaced. What runs: docker compose ps"
        say "Some were replaced already: going back"
        exec 9>&-
        ROLLOUT_GOES_BACK=yes "$here/rollout" --image "$old" --service "$service" --replicas "$replicas" --timeout "$timeout" --path "$path" --one-by-one ||
            die "$what" "Not all replicas could be replaced. What runs: docker compose ps"
    fi
    die "$what" "$replicas of the image before serve on. Mend the image, or the settings if you changed them, then try again."
}
