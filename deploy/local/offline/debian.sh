#!/usr/bin/env bash
# Fetches Debian's packages without installing them on this machine. To be sourced after lib.sh; needs $work.
#   mirror                 prints the Debian mirror that this machine uses, or DEBIAN_MIRROR
#   debian_ready           fetches the mirror's list of packages; false, with the reason in $why, if that fails
#   debian_unpack FOLDER PACKAGE…

# shellcheck disable=SC2034 # why: for the scripts that source this
why='' work=${work-}

# The suite that has Compose v2, Buildx, and a recent nginx. Its Compose and Buildx also run on older releases.
suite=forky

mirror() {
    local found
    [[ -z ${DEBIAN_MIRROR-} ]] || { echo "$DEBIAN_MIRROR"; return; }
    # Where apt has lists, the archive with Debian's label; otherwise the first one that isn't for security.
    # shellcheck disable=SC2016 # apt's own variables
    found=$(apt-get indextargets --format '$(LABEL) $(SITE)' 2>/dev/null | awk '$1 == "Debian" && $2 !~ /^(file|cdrom):/ { print $2; exit }')
    [[ -n $found ]] || found=$(apt-get update --print-uris 2>/dev/null |
        sed -nE "/security/d; s,^'((http|https|mirror)[^']*)/dists/[^']*InRelease'.*,\1,p" | head -n 1)
    echo "$found"
}

# Runs apt with a state of its own: needs no root, and changes nothing on this machine.
own_apt() { apt-get --quiet --config-file "$work/apt.conf" "$@"; }

debian_ready() {
    local from key
    [[ ! -f $work/apt.conf ]] || return 0
    why="this machine has no apt"
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    why="apt's sources name no Debian mirror"
    from=$(mirror)
    [[ -n $from ]] || return 1
    why="Debian's keys (the package debian-archive-keyring) are not on this machine"
    key=$(find /usr/share/keyrings -name 'debian-archive-keyring.*' 2>/dev/null | sort | head -n 1)
    [[ -n $key ]] || return 1

    mkdir -p "$work/state/lists/partial" "$work/packages/archives/partial"
    : >"$work/status"
    echo "deb [signed-by=$key] $from $suite main" >"$work/sources.list"
    # The lists of a rarely updated mirror can be past their date; their signature is still verified.
    cat >"$work/apt.conf.new" <<END
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State "$work/state";
Dir::State::Status "$work/status";
Dir::Cache "$work/packages";
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::Retries "0";
Acquire::http::Timeout "10";
Acquire::https::Timeout "10";
#clear Acquire::IndexTargets::deb::DEP-11;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
END
    if ! apt-get --quiet --config-file "$work/apt.conf.new" update >"$work/update.log" 2>&1; then
        why="the package mirror $from gave no list of $suite ($(sed -n 's/^[EW]: //p' "$work/update.log" | head -n 1))"
        return 1
    fi
    mv "$work/apt.conf.new" "$work/apt.conf"
}

debian_unpack() {
    local folder=$1 package
    shift
    mkdir -p "$work/debs" && (cd "$work/debs" && rm -f ./*.deb && own_apt download "$@") || return 1
    for package in "$work"/debs/*.deb; do dpkg-deb --extract "$package" "$folder" || return 1; done
}
