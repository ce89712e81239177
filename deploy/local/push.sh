#!/usr/bin/env bash
# Builds an image for platforms, pushes it, and prints its name with its digest, for a deployment to pin.
# Its tags are that of IMAGE and the git revision. Its labels name the source, the revision, the version and the licence.
# Builds for amd64, and where the builder can also for arm64, with SBOM and provenance. The same commit gives the same layers.
# usage: IMAGE=registry/name:tag [TARGET=app|bundle] [BUILDX_BUILDER=…] deploy/local/push.sh
#        (BASES, RUST_IMAGE, … as in offline/bases.sh)

. "$(dirname "$0")/lib.sh"

image=${IMAGE-} target=${TARGET:-app} example="For example: make push IMAGE=registry.example.com/team/berth:1.4"
[[ $image ]] || die "IMAGE is not set. It names the registry, the image and its tag." "$example"
[[ $image =~ ^[a-zA-Z0-9._-]+(:[0-9]+)?(/[a-z0-9._-]+)+(:[a-zA-Z0-9_][a-zA-Z0-9_.-]*)?$ ]] ||
    die "IMAGE=$image is not of the form registry/name:tag." "$example"
[[ ${image##*/} == *:* ]] || die "IMAGE=$image has no tag." "Add one, different for each version. $example"
[[ $image != *:latest ]] || die "IMAGE=$image: the tag latest does not tell which version that is." "Use another tag. $example"
[[ $target == app || $target == bundle ]] || die "TARGET=$target is neither app nor bundle." "Without TARGET, it is app."
name=${image%:*} tag=${image##*:} host=${image%%/*}
[[ $host == *[.:]* || $host == localhost ]] || host=docker.io

deploy/local/preflight.sh
deploy/local/offline/plugins.sh
. deploy/local/image_labels.sh
. deploy/local/push_errors.sh
[[ " ${tags[*]} " == *" $tag "* ]] || tags+=("$tag") # last: once it is in the registry, the push is complete

own="BUILDX_BUILDER=$(docker context inspect --format '{{.Name}}')"
about=$(docker buildx inspect --bootstrap 2>&1) ||
    die "The builder can't be used: ${about##*$'\n'}" "Use the engine's own: make push $own IMAGE=$image"
driver=$(sed -n 's/^Driver: *//p' <<<"$about")
platforms=" $(sed -n 's/^Platforms: *//p' <<<"$about" | tr -d '*,' | tr '\n' ' ')"
[[ $platforms == *" linux/amd64 "* ]] || die "The builder does not build for linux/amd64, but for$platforms" \
    "Use one that does (docker buildx ls; BUILDX_BUILDER=…), or extend it: https://docs.docker.com/build/building/multi-platform/"

mkdir -p "$cache"
result=$cache/push-result.log
options=(--progress plain --target "$target" --platform linux/amd64)
for label in "${labels[@]}"; do options+=(--label "org.opencontainers.image.$label"); done
for each in "${tags[@]}"; do options+=(--tag "$name:$each"); done
# The user's images, from the environment or .env. PREVIOUS_IMAGE has no default here: the image on this machine need not
# be the deployed version.
arguments=$(docker compose config app | sed -nE '/: null$/!s/^ +((RUST|NGINX|PREVIOUS)_IMAGE): (.*)/\1=\3/p')
if [[ $driver == docker ]]; then
    say "For linux/amd64 alone, without SBOM and provenance: the engine's own builder supports no more"
    say "   (\`docker buildx create --use\` makes one that does)"
    export BUILDX_NO_DEFAULT_ATTESTATIONS=1
else
    if [[ $platforms == *" linux/arm64 "* ]]; then
        options+=(--platform linux/arm64)
    else
        say "For linux/amd64 alone: the builder does not build for linux/arm64"
    fi
    options+=(--sbom=true --provenance=true --push --metadata-file "$result")
fi
# Only the engine's own builder sees the engine's images. They are made for the engine's architecture.
if [[ $driver == docker && $(docker version --format '{{.Server.Arch}}') == amd64 ]]; then
    room_to_build "$(docker compose config --images app)" "building"
    bases=$(deploy/local/offline/bases.sh)
    arguments+=$'\n'$bases
fi
# Builders that support it give the image the time of the commit.
[[ ! ${SOURCE_DATE_EPOCH-} ]] || arguments+=$'\n'SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH
while read -r argument; do
    [[ ! $argument ]] || options+=(--build-arg "$argument")
done <<<"$arguments"

rm -f "$result"
if [[ $driver == docker ]]; then
    step push-build "Building $target" "Correct the error, then try again. Where \`make up\` works, this build does too." \
        docker buildx build "${options[@]}" .
    for each in "${tags[@]}"; do try "Pushing $name:$each" docker push "$name:$each"; done
    digest=$(sed -nE 's/.* digest: (sha256:[0-9a-f]{64}) .*/\1/p' "$log" | tail -n 1)
else
    try "Building $target and pushing it" docker buildx build "${options[@]}" .
    digest=$(sed -nE 's/.*"containerimage.digest": *"(sha256:[0-9a-f]{64})".*/\1/p' "$result")
fi
[[ $digest ]] || die "The image was pushed, but Docker did not print its digest." "Ask the registry: docker buildx imagetools inspect $image"
say "Pushed to $name as ${tags[*]}. To pin in a deployment:"
echo "$name@$digest"
