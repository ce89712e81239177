#!/usr/bin/env bash
# Shows the progress of a long command. To be sourced by lib.sh.
#   with_progress LOG COMMAND…      runs the command with its output in the log file, and returns its exit status
# It follows the log, whose lines progress_lines.sh understands. On a terminal it rewrites one line each second. Elsewhere it
# prints a line once a step has run for 3 seconds, and the step's time when it ends.

. deploy/local/progress_lines.sh

with_progress() {
    local status=0 follower
    : >"$1"
    # The follower ends when descriptor 8 closes, so it never outlives this script. The command does not inherit that.
    exec 8> >(follow "$1" >&2)
    follower=$!
    "${@:2}" >"$1" 2>&1 </dev/null 8>&- || status=$?
    (echo >&8) 2>/dev/null || true # in a subshell: a follower that is gone must not end this script
    exec 8>&-
    wait "$follower" || true
    return $status
}

# follow LOG: reads the log as it grows, until standard input has a line or closes.
follow() {
    # The steps under way, oldest first; of each its name, its current detail, its start, and whether a line announced it.
    local steps=() start=$SECONDS total=0 count=0
    local -A name=() detail=() began=() announced=()
    local line rest=''
    set +e
    trap '' INT # Ctrl-C ends the script, which closes standard input
    exec 3<"$1"
    while :; do
        while IFS= read -r line <&3; do understand "$rest$line"; rest=''; done
        rest+=$line # the line that has no end yet; cargo ends its progress with a carriage return
        if [[ $rest == *$'\r'* ]]; then understand "${rest%$'\r'*}"; rest=${rest##*$'\r'}; fi
        if [[ -t 1 ]]; then rewrite_line; else announce; fi
        read -r -t 1 _ && break # the command has ended
        (($? > 128)) || return # closed: the script was stopped; above 128 a second has passed
    done
    [[ ! -t 1 ]] || printf '\r\e[K'
    for line in "${steps[@]}"; do finish "$line"; done
}

# begin ID NAME [DETAIL]
begin() {
    [[ ${name[$1]-} ]] || { steps+=("$1"); began[$1]=$SECONDS; }
    name[$1]=$2 detail[$1]=${3-}
}

# note ID DETAIL
note() { detail[$1]=$2; }

finish() {
    local id rest=()
    [[ ${name[$1]-} ]] || return
    [[ ! ${announced[$1]-} ]] || printf '   %s] %d s\n' "${name[$1]%%]*}" $((SECONDS - began[$1]))
    for id in "${steps[@]}"; do [[ $id == "$1" ]] || rest+=("$id"); done
    steps=("${rest[@]}")
    unset "name[$1]" "detail[$1]" "began[$1]" "announced[$1]"
}

announce() {
    local id
    for id in "${steps[@]}"; do
        if [[ ! ${announced[$id]-} ]] && ((SECONDS - began[$id] >= 3)); then
            printf '   %.100s\n' "${name[$id]}"
            announced[$id]=yes
        fi
    done
}

rewrite_line() {
    local id=${steps[0]-} width=0 text=${progress_title:+$progress_title }… seconds=$((SECONDS - start))
    read -r _ width < <(stty size <&2 2>/dev/null)
    if [[ $id ]]; then
        text=${name[$id]} seconds=$((SECONDS - began[$id]))
        [[ ! ${detail[$id]} ]] || text="${text%%]*}] ${detail[$id]}"
    fi
    ((width > 20)) || width=80
    seconds=" $seconds s"
    text="   $text"
    printf '\r%s%s\e[K' "${text:0:width - ${#seconds} - 1}" "$seconds"
}
