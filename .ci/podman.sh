# shellcheck shell=bash
# Real containers for the tests, on a machine that may be restricted: root without CAP_SYS_RESOURCE,
# control groups of both versions, no registry. To be sourced. Where an engine works it exports
#
#   CONTAINERS_CONF         limits that may be asked for, and runc, which takes mixed control groups
#   TWINSERVE_BASE_IMAGE    what images are built from
#   TWINSERVE_TEST_ENGINE   from now on a test that finds no engine fails instead of being skipped
#
# and where none does it says why, and the tests that need one are skipped with their reason.

podman_packages() {
    command -v podman >/dev/null && command -v runc >/dev/null && return
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends podman runc buildah netavark aardvark-dns \
        iptables iproute2 uidmap debootstrap >/dev/null
}

podman_configuration() {
    CONTAINERS_CONF=$(mktemp -t containers-XXXXXX.conf)
    export CONTAINERS_CONF
    cat >"$CONTAINERS_CONF" <<'CONF'
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
CONF
}

# A public slim image where a registry can be reached, else one of Debian's own packages.
podman_base_image() {
    local public=docker.io/library/python:3.11-slim made=localhost/python-base
    local name
    for name in "$made" "$public"; do
        if podman image exists "$name"; then
            export TWINSERVE_BASE_IMAGE=$name
            return
        fi
    done
    if timeout 60 podman pull --quiet "$public" >/dev/null 2>&1; then
        export TWINSERVE_BASE_IMAGE=$public
        return
    fi
    local root
    root=$(mktemp -d)
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm \
        "$root" >/dev/null
    # What Debian's own slim images leave out, too.
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* \
        "$root"/usr/share/{doc,man,info,locale,lintian,bash-completion}/*
    tar -C "$root" -c . | podman import - "$made" >/dev/null 2>&1
    rm -rf "$root"
    export TWINSERVE_BASE_IMAGE=$made
}

podman_configuration
# In a subshell first, so that whatever fails ends nothing but this attempt.
if podman_said=$(
    {
        podman_packages && podman_base_image &&
            podman run --rm --cpus 1 --memory 64m "$TWINSERVE_BASE_IMAGE" true
    } 2>&1
); then
    podman_base_image
    export TWINSERVE_TEST_ENGINE=podman
else
    unset TWINSERVE_TEST_ENGINE
    echo "No container engine works here, so its tests are skipped: ${podman_said##*$'\n'}"
fi
