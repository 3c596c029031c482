# shellcheck shell=bash disable=SC2034
# Shared by tools/run and tools/test: installs what is missing, and builds.

# What a build needs, in Debian's and Ubuntu's names.
build_packages=(
    build-essential cmake ninja-build
    libvulkan1 libvulkan-dev
    libshaderc-dev glslang-dev glslang-tools spirv-tools
    libxxhash-dev libcjson-dev libcmocka-dev
    mesa-vulkan-drivers
)

say() {
    printf '%s\n' "$*"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        say "error: not root, and there is no sudo: cannot run $*" >&2
        return 1
    fi
}

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# install_missing PACKAGE...
install_missing() {
    local package missing=()
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        say "note: no apt-get here; these packages, or what they hold, must be there: $*"
        return 0
    fi
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    if [ "${#missing[@]}" -eq 0 ]; then
        return 0
    fi
    say "installing: ${missing[*]}"
    as_root apt-get update -qq &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
            --no-install-recommends "${missing[@]}" >/dev/null
}

# configure_and_build PRESET DIRECTORY: quiet unless it fails.
configure_and_build() {
    local preset=$1 directory=$2 log
    local generator=()
    mkdir -p "$directory"
    log=$directory/build.log
    if [ ! -e "$directory/CMakeCache.txt" ] && command -v ninja >/dev/null; then
        generator=(-G Ninja)
    fi
    if ! { cmake --preset "$preset" "${generator[@]}" &&
        cmake --build "$directory" --parallel "$(nproc)"; } >"$log" 2>&1; then
        say "error: the build of preset $preset failed; the end of $log:" >&2
        tail -n 60 "$log" >&2
        return 1
    fi
}

# The mirror that apt on this host has Debian from; fails where there is none.
debian_mirror() {
    local mirror=
    if command -v apt-get >/dev/null; then
        # shellcheck disable=SC2016
        mirror=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' \
            'Created-By: Packages' 2>/dev/null |
            sed -n 's/^Debian Debian \(http.*[^/]\)\/*$/\1/p' | head -n 1) || true
    fi
    if [ -z "$mirror" ]; then
        say "error: apt on this machine knows no mirror of Debian" >&2
        return 1
    fi
    say "$mirror"
}

# with_driver ICD-FILE COMMAND...: only this driver is visible. The second name is the one that
# newer loaders know.
with_driver() {
    local icd=$1
    shift
    VK_ICD_FILENAMES=$icd VK_DRIVER_FILES=$icd "$@"
}
