#!/usr/bin/env bash
# Builds an image for platforms, pushes it, and prints its name with its digest, which is what to pin in a deployment.
# It gets the tag of IMAGE and the git revision as tags, and labels that tell where it comes from. It is built
# for amd64, and where the builder can also for arm64, with SBOM and provenance. The same commit gives the same layers.
# usage: IMAGE=registry/name:tag [TARGET=app|bundle] [BUILDX_BUILDER=…] deploy/local/push.sh     (BASES, … as in bases.sh)

. "$(dirname "$0")/lib.sh"

image=${IMAGE-} target=${TARGET:-app} example="For example: make push IMAGE=registry.example.com/team/berth:1.4"
[[ $image ]] || die "IMAGE is not set: where to push to, and under which name." "$example"
[[ $image =~ ^[a-zA-Z0-9._-]+(:[0-9]+)?(/[a-z0-9._-]+)+(:[a-zA-Z0-9_][a-zA-Z0-9_.-]*)?$ ]] ||
    die "IMAGE=$image is not of the form registry/name:tag." "$example"
[[ ${image##*/} == *:* ]] || die "IMAGE=$image has no tag." "Add one that no other version has. $example"
[[ $image != *:latest ]] || die "IMAGE=$image: the tag latest does not tell which version that is." "Take another. $example"
[[ $target == app || $target == bundle ]] || die "TARGET=$target is neither app nor bundle." "Leave it out, and it is app."
name=${image%:*} tag=${image##*:} host=${image%%/*}
[[ $host == *[.:]* || $host == localhost ]] || host=docker.io

deploy/local/preflight.sh
deploy/local/plugins.sh
. deploy/local/origin.sh
. deploy/local/refusal.sh
[[ " ${tags[*]} " == *" $tag "* ]] || tags+=("$tag") # last: when it is there, everything is

own="BUILDX_BUILDER=$(docker context inspect --format '{{.Name}}')"
about=$(docker buildx inspect --bootstrap 2>&1) ||
    die "The builder can't be used: ${about##*$'\n'}" "Take the engine's own: make push $own IMAGE=$image"
driver=$(sed -n 's/^Driver: *//p' <<<"$about")
platforms=" $(sed -n 's/^Platforms: *//p' <<<"$about" | tr -d '*,' | tr '\n' ' ')"
[[ $platforms == *" linux/amd64 "* ]] || die "The builder does not build for linux/amd64, but for$platforms" \
    "Take one that does (docker buildx ls; BUILDX_BUILDER=…), or teach it: https://docs.docker.com/build/building/multi-platform/"

mkdir -p "$cache"
result=$cache/push-result.log
options=(--progress plain --target "$target" --platform linux/amd64)
for label in "${labels[@]}"; do options+=(--label "org.opencontainers.image.$label"); done
for it in "${tags[@]}"; do options+=(--tag "$name:$it"); done
# What the user names, in the environment or in .env. No image of this machine's is the version before: it need not be what
# is deployed.
arguments=$(docker compose config app | sed -nE '/: null$/!s/^ +((RUST|NGINX|PREVIOUS)_IMAGE): (.*)/\1=\3/p')
if [[ $driver == docker ]]; then
    say "For linux/amd64 alone, without SBOM and provenance: the engine's own builder can't do more"
    say "   (\`docker buildx create --use\` makes one that can)"
    export BUILDX_NO_DEFAULT_ATTESTATIONS=1
else
    if [[ $platforms == *" linux/arm64 "* ]]; then
        options+=(--platform linux/arm64)
    else
        say "For linux/amd64 alone: the builder does not build for linux/arm64"
    fi
    options+=(--sbom=true --provenance=true --push --metadata-file "$result")
fi
# Only the engine's own builder sees the engine's images, and they are made for its own kind of processor.
if [[ $driver == docker && $(docker version --format '{{.Server.Arch}}') == amd64 ]]; then
    room_to_build "$(docker compose config --images app)" "building"
    bases=$(deploy/local/bases.sh)
    arguments+=$'\n'$bases
fi
# Builders that know it give the image the time of the commit.
[[ ! ${SOURCE_DATE_EPOCH-} ]] || arguments+=$'\n'SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH
while read -r argument; do
    [[ ! $argument ]] || options+=(--build-arg "$argument")
done <<<"$arguments"

rm -f "$result"
if [[ $driver == docker ]]; then
    step push-build "Building $target" "Mend it, then try again; where \`make up\` works, this does." \
        docker buildx build "${options[@]}" .
    for it in "${tags[@]}"; do try "Pushing $name:$it" docker push "$name:$it"; done
    digest=$(sed -nE 's/.* digest: (sha256:[0-9a-f]{64}) .*/\1/p' "$log" | tail -n 1)
else
    try "Building $target and pushing it" docker buildx build "${options[@]}" .
    digest=$(sed -nE 's/.*"containerimage.digest": *"(sha256:[0-9a-f]{64})".*/\1/p' "$result")
fi
[[ $digest ]] || die "It was pushed, but Docker did not tell its digest." "Ask the registry: docker buildx imagetools inspect $image"
say "Pushed to $name as ${tags[*]}. To pin in a deployment:"
echo "$name@$digest"
