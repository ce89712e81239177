#!/usr/bin/env bash
# What the scripts of this folder share. To be sourced first: it goes to the project's folder and answers -h.
set -euo pipefail
script=$(realpath "$0")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if [[ ${1-} == -h || ${1-} == --help ]]; then
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$script" # the comment at the script's top
    exit 0
fi

cache=${XDG_CACHE_HOME:-$HOME/.cache}/berth
# shellcheck disable=SC2034 # for the scripts that source this
plugins=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins

# Progress goes to stderr: stdout is for what a script hands over.
say() { printf -- '-> %s\n' "$*" >&2; }

# die WHAT-IS-WRONG WHAT-TO-DO
die() {
    printf 'berth: %s\n       %s\n' "$1" "$2" >&2
    exit 1
}

# at_least WANTED VERSION
at_least() { [[ $(printf '%s\n' "$1" "$2" | sort -V | head -n 1) == "$1" ]]; }

# room FOLDER MB WHY: stops unless the folder's disk has that much room.
room() {
    local folder=$1 free
    until [[ -d $folder ]]; do folder=$(dirname "$folder"); done
    free=$(df -Pk "$folder" | awk 'END { print int($4 / 1024) }')
    ((free >= $2)) || die "$folder has $free MB of room left; $3 needs $2 MB." \
        "Make room there (\`docker system df\` shows what Docker holds, \`docker system prune\` frees what is unused), then try again."
}

# room_to_build IMAGE WHY: the same of the engine's disk, for a build, which needs less where that image is here. Where the
# engine's folder can't be seen (another machine, a virtual one) there is nothing to measure.
room_to_build() {
    local data needed=4000
    data=$(docker info --format '{{.DockerRootDir}}')
    ! docker image inspect "$1" >/dev/null 2>&1 || needed=500
    [[ ! -d $data ]] || room "$data" "$needed" "$2"
}

# work_folder: sets $work, a folder that is gone when the script ends, however it ends.
work_folder() {
    mkdir -p "$cache" 2>/dev/null || die "The folder $cache can't be made." "Set XDG_CACHE_HOME to a folder that you may write to."
    work=$(mktemp -d "$cache/work.XXXXXX")
    trap 'rm -rf "$work"' EXIT
}

# The project's name in docker-compose.yml, by which Compose marks the images that it builds.
project() { sed -n 's/^name: //p' docker-compose.yml; }

# step LOG TEXT REMEDY COMMAND…: runs the command, its output in the log file; if it fails, shows the end of that and stops.
step() {
    local log=$cache/$1.log text=$2 remedy=$3 start=$SECONDS clock='' failed=''
    shift 3
    mkdir -p "$cache"
    say "$text (log: $log)"
    if [[ -t 2 ]]; then
        while sleep 1; do printf '\r   %d s ' $((SECONDS - start)) >&2; done &
        clock=$!
    fi
    "$@" >"$log" 2>&1 </dev/null || failed=yes
    [[ -z $clock ]] || { kill "$clock"; wait "$clock" 2>/dev/null || true; printf '\r' >&2; }
    if [[ ! $failed ]]; then
        ((SECONDS - start < 3)) || say "   done in $((SECONDS - start)) s"
        return
    fi
    tail -n 15 "$log" | sed 's/^/   | /' >&2
    if grep -qi 'no space left on device' "$log"; then
        die "The disk is full: \"${text%%;*}\" did not get to its end." "Make room (\`docker system prune\` frees what Docker does not use), then try again."
    fi
    die "${text%%;*}: that failed; its last lines are above, all of them in $log" "$remedy"
}
