#!/usr/bin/env bash
# Shared by the scripts of this folder. To be sourced first: changes to the project's folder, and prints the usage for -h.
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

# Messages go to standard error: standard output is for a script's result.
say() { printf -- '-> %s\n' "$*" >&2; }

# die WHAT-IS-WRONG WHAT-TO-DO
die() {
    printf 'berth: %s\n       %s\n' "$1" "$2" >&2
    exit 1
}

# at_least WANTED VERSION
at_least() { [[ $(printf '%s\n' "$1" "$2" | sort -V | head -n 1) == "$1" ]]; }

# room FOLDER MB WHY: stops unless the folder's disk has that many MB free.
room() {
    local folder=$1 free
    until [[ -d $folder ]]; do folder=$(dirname "$folder"); done
    free=$(df -Pk "$folder" | awk 'END { print int($4 / 1024) }')
    ((free >= $2)) || die "$folder has $free MB of room left; $3 needs $2 MB." \
        "Make room there (\`docker system df\` shows what Docker holds, \`docker system prune\` frees what is unused), then try again."
}

# room_to_build IMAGE WHY: the same for a build, on the engine's disk; a build needs less where that image exists. Checks
# nothing where the engine's folder is not on this machine (another machine, a virtual one).
room_to_build() {
    local data needed=4000
    data=$(docker info --format '{{.DockerRootDir}}')
    ! docker image inspect "$1" >/dev/null 2>&1 || needed=500
    [[ ! -d $data ]] || room "$data" "$needed" "$2"
}

# work_folder: sets $work, a temporary folder that is removed when the script ends.
work_folder() {
    mkdir -p "$cache" 2>/dev/null || die "The folder $cache can't be made." "Set XDG_CACHE_HOME to a folder that you may write to."
    work=$(mktemp -d "$cache/work.XXXXXX")
    trap 'rm -rf "$work"' EXIT
}

# The project's name in docker-compose.yml. Compose writes it into a label of the images that it builds.
project() { sed -n 's/^name: //p' docker-compose.yml; }

. deploy/local/progress.sh

# step NAME TEXT REMEDY COMMAND…: runs the command and shows its progress. Its output goes to the log NAME. If the command
# fails, shows the end of that log and stops.
step() {
    local log=$cache/$1.log text=$2 remedy=$3 start=$SECONDS
    mkdir -p "$cache"
    say "$text (log: $log)"
    if with_progress "$log" "${@:4}"; then
        ((SECONDS - start < 3)) || say "   done in $((SECONDS - start)) s"
        return
    fi
    tail -n 15 "$log" | sed 's/.*\r//; s/^/   | /' >&2
    if grep -qi 'no space left on device' "$log"; then
        die "The disk is full: \"${text%%;*}\" did not finish." "Make room (\`docker system prune\` frees what Docker does not use), then try again."
    fi
    die "${text%%;*}: that failed; its last lines are above, all of them in $log" "$remedy"
}
