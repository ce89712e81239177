#!/usr/bin/env bash
# What a line of a log says of the progress: steps of `docker build --progress plain`, packages of apt and dpkg, layers of
# `docker pull`, crates and test programs of cargo, and parts that a script names itself with a line "== NAME". Cargo prints
# "12/97" of its crates with CARGO_TERM_PROGRESS_WHEN=always CARGO_TERM_PROGRESS_WIDTH=99.
# To be sourced by progress.sh, which has `begin`, `note` and `finish`.

# understand LINE: notes which step begins, goes on or ends with this line of the log.
understand() {
    local line=${1##*$'\r'} id
    if [[ $line =~ ^#([0-9]+)\ (DONE|CACHED|ERROR|CANCELED) ]]; then
        finish "${BASH_REMATCH[1]}"
    elif [[ $line =~ ^#([0-9]+)\ ([0-9.]+\ +)((Downloaded|Compiling|Get:|Setting\ up)\ ?[^ ]*) ]]; then
        note "${BASH_REMATCH[1]}" "${BASH_REMATCH[3]}"
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
