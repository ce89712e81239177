#!/usr/bin/env bash
# Builds the images, starts nginx and the replicas behind it, waits until all are healthy, and prints their address.
# Where a stack runs already, rolls out the new images: see deploy/compose/rollout. The app loses no request.
# usage: [PUBLISH=8000] [REPLICAS=2] deploy/local/up.sh        (BASES, RUST_IMAGE, … as in offline/bases.sh)

. "$(dirname "$0")/lib.sh"

# explain CONTAINER: shows the end of its log and stops, saying why it does not serve.
explain() {
    local name state
    name=$(docker inspect --format '{{index .Config.Labels "com.docker.compose.service"}}' "$1")
    state=$(docker inspect --format '{{.State.Status}}, exit code {{.State.ExitCode}}{{with .State.Health}}, {{.Status}}{{end}}' "$1")
    docker logs --tail 15 "$1" 2>&1 | sed 's/^/   | /' >&2
    tidy >>"$cache/up.log" 2>&1
    [[ $state != *"exit code 78"* ]] ||
        die "The service $name refuses its configuration; the reason is above." "Correct it in docker-compose.yml, .env or the environment, then: make up"
    die "The service $name does not become healthy ($state); its last lines are above." "Correct that, then: make up"
}

deploy/local/images.sh --port
: >"$cache/up.log"
before=$(docker compose ps --quiet)
# Removes everything after a first start that failed; keeps a stack that ran before, so that it can be examined.
tidy() { [[ $before ]] || docker compose down --remove-orphans; }

if [[ $before && $(docker compose ps --quiet --status running nginx) ]]; then
    plan=$(docker compose --dry-run --progress plain up --detach --no-build 2>&1 || true)
    for service in app nginx; do
        ! grep -qE "$service-[0-9]+ +Recreate" <<<"$plan" || deploy/compose/rollout --service "$service"
    done
fi

trap 'tidy >>"$cache/up.log" 2>&1; exit 130' INT TERM
say "Starting (log: $cache/up.log)"
if ! docker compose --progress plain up --detach --no-build --remove-orphans --wait --wait-timeout 90 >>"$cache/up.log" 2>&1 </dev/null; then
    if grep -qE 'port is already allocated|address already in use' "$cache/up.log"; then
        problem="Another program has the port."
    fi
    # The first container that is not healthy. One in the state "created" only waits for another.
    failed=$(docker compose ps --all --format '{{.ID}} {{.State}} {{.Health}}' |
        awk '$2 != "created" && ($2 != "running" || $3 ~ /unhealthy|starting/) { print $2, $1 }' | sort | awk 'NR == 1 { print $2 }')
    [[ ${problem-} || -z $failed ]] || explain "$failed"
    tail -n 15 "$cache/up.log" | sed 's/^/   | /' >&2
    tidy >>"$cache/up.log" 2>&1
    die "${problem:-The stack did not start.} Docker's last lines are above." "Correct that, or use another port (PUBLISH=127.0.0.1:8001 in .env), then try again."
fi

address=$(docker compose port nginx 8080)
address=${address/0.0.0.0/localhost}
cat <<END
Berth is up: http://${address/\[::\]/localhost}
  logs:   make logs
  scale:  docker compose up -d --no-recreate --scale app=4
  stop:   make down
END
