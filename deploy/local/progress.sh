#!/usr/bin/env bash
# Shows the progress of a long command. To be sourced by lib.sh.
#   with_progress LOG COMMAND…      runs the command with its output in the log file, and returns its exit status
# It follows the log: steps of `docker build --progress plain`, packages of apt and dpkg, layers of `docker pull`, crates and
# test programs of cargo, and parts that a script names itself with a line "== NAME". Cargo prints "12/97" of its crates with
# CARGO_TERM_PROGRESS_WHEN=always CARGO_TERM_PROGRESS_WIDTH=99.
# On a terminal it rewrites one line each second. Elsewhere it prints a line once a step has run for 3 seconds, and the
# step's time when it ends.

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

# understand LINE: notes which step begins, goes on or ends with this line of the log.
understand() {
    local line=${1##*$'\r'} id
    if [[ $line =~ ^#([0-9]+)\ (DONE|CACHED|ERROR|CANCELED) ]]; then
        finish "${BASH_REMATCH[1]}"
    elif [[ $line =~ ^#([0-9]+)\ ([0-9.]+\ +)((Downloaded|Compiling|Get:|Setting\ up)\ ?[^ ]*) ]]; then
        detail[${BASH_REMATCH[1]}]=${BASH_REMATCH[3]}
    elif [[ $line =~ ^#([0-9]+)\ (\[[^]]*\]\ )?(exporting\ to\ .+)$ ]]; then
        begin "${BASH_REMATCH[1]}" "[export] ${BASH_REMATCH[3]}"
    # Compose puts the service before the stage, "[app build 3/7] RUN …"; that word is left out.
    elif [[ $line =~ ^#([0-9]+)\ \[([^]\ ]+\ ([^]\ ]+\ [^]\ ]+)|[^]]+)\]\ (.*) ]]; then
        begin "${BASH_REMATCH[1]}" "[${BASH_REMATCH[3]:-${BASH_REMATCH[2]}}] ${BASH_REMATCH[4]}"
    elif [[ $line =~ ^\ *(Compiling|Checking|Downloaded)\ ([^ ]+) || $line =~ ^\ *Building\ \[.*\]\ ([0-9]+/[0-9]+):(.*) ]]; then
        begin cargo "[cargo] crates" "${BASH_REMATCH[1]}${BASH_REMATCH[2]:+ ${BASH_REMATCH[2]}}"
    elif [[ $line =~ ^\ +(Finished|Running|Doc-tests)\ (unittests\ )?([^ ]+) ]]; then
        finish cargo
        finish tests
        [[ ${BASH_REMATCH[1]} == Finished ]] || begin tests "[test] ${BASH_REMATCH[3]}"
    elif [[ $line =~ ([0-9]+)\ newly\ installed ]]; then
        total=${BASH_REMATCH[1]} count=0
    elif [[ $line =~ ^Get:([0-9]+)\  ]]; then
        begin download "[download] Debian's packages" "${BASH_REMATCH[1]} of $total"
    elif [[ $line =~ ^(Unpacking|Setting\ up)\ ([^ ]+) ]]; then
        finish download
        [[ ${BASH_REMATCH[1]} == Unpacking ]] || ((count += 1))
        begin install "[install] Debian's packages" "$count of $total: ${BASH_REMATCH[2]}"
    elif [[ $line =~ ^==\ (.+) ]]; then # a script names its next part
        for id in download install part; do finish "$id"; done
        begin part "[${BASH_REMATCH[1]}]"
    elif [[ $line == *": Pulling fs layer" ]]; then
        begin pull "[pull] layers" "$count of $((++total))"
    elif [[ $line == *": Pull complete" ]]; then
        begin pull "[pull] layers" "$((++count)) of $total"
    fi
}

# begin ID NAME [DETAIL]
begin() {
    [[ ${name[$1]-} ]] || { steps+=("$1"); began[$1]=$SECONDS; }
    name[$1]=$2 detail[$1]=${3-}
}

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
