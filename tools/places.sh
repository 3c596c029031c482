# shellcheck shell=bash disable=SC2034
# Drivers that this machine does not have installed: taken from Debian's packages into a cache
# folder, never into the system. Sourced after tools/common.sh.
#
# A "place" is where a driver comes from:
#   host       what is installed
#   chromium   SwiftShader, the mock driver and the newest validation layer, out of Debian's browser
#   trixie, backports
#              Mesa of Debian 13 and of its backports with everything that it needs down to libc,
#              unpacked; programs of this machine run there through that libc's own loader. Needs
#              neither root nor a chroot.

places=${XDG_CACHE_HOME:-$HOME/.cache}/vsa/drivers
multiarch=x86_64-linux-gnu

# Prints the folder; false when it cannot be had.
fetch_chromium() {
    local folder=$places/chromium part
    if [ ! -s "$folder/libVkLayer_khronos_validation.so" ]; then
        command -v apt-get >/dev/null || return 1
        mkdir -p "$folder/download" || return 1
        say "fetching SwiftShader, a mock driver and validation (Debian's chromium-common, 31 MB)" >&2
        (
            cd "$folder/download" || exit 1
            if ! apt-get download -qq chromium-common; then
                as_root apt-get update -qq
                apt-get download -qq chromium-common || exit 1
            fi
            dpkg-deb --fsys-tarfile chromium-common_*.deb | tar -x --wildcards \
                './usr/lib/chromium/lib[Vv]k*.so'
            mv usr/lib/chromium/lib*.so "$folder"
        ) >&2
        rm -rf "$folder/download"
    fi
    for part in vk_swiftshader VkICD_mock_icd; do
        [ -s "$folder/lib$part.so" ] || return 1
        printf '{"file_format_version": "1.0.0", "ICD": {"library_path": "%s", "api_version": "%s"}}' \
            "$folder/lib$part.so" 1.1.0 >"$folder/$part.json" || return 1
    done
    printf '%s\n' "$folder"
}

# Prints the ICD file of SwiftShader.
fetch_swiftshader() {
    local folder
    folder=$(fetch_chromium) && printf '%s\n' "$folder/vk_swiftshader.json"
}

# private_apt FOLDER: sets private_apt to an apt-get whose lists are in the folder, with the lines of
# FOLDER/sources.list and nothing of this system's.
private_apt() {
    mkdir -p "$1/lists/partial" "$1/archives/partial" || return 1
    : >"$1/status"
    private_apt=(apt-get -qq -o "Dir::Etc::sourcelist=$1/sources.list"
        -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null
        -o "Dir::State::lists=$1/lists" -o "Dir::State::status=$1/status"
        -o "Dir::Cache::archives=$1/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
        -o APT::Sandbox::User= -o APT::Install-Recommends=false -o Debug::NoLocking=true)
    "${private_apt[@]}" update >&2
}

# fetch_debian NAME SUITE...: Mesa and its shims from the last of the suites, unpacked. Prints the
# folder.
fetch_debian() {
    local folder=$places/$1 root=$places/$1/root key mirror suite package private_apt
    shift
    if [ -e "$folder/complete" ]; then
        printf '%s\n' "$root"
        return 0
    fi
    key=/usr/share/keyrings/debian-archive-keyring.gpg
    command -v apt-get >/dev/null && [ -e "$key" ] || return 1
    [ "$(dpkg --print-architecture)" = amd64 ] || return 1
    rm -rf "$folder"
    mkdir -p "$root" || return 1
    mirror=$(debian_mirror) || return 1
    for suite in "$@"; do
        say "deb [signed-by=$key] $mirror $suite main"
    done >"$folder/sources.list"
    say "fetching Mesa from Debian $suite into $folder (60 MB)" >&2
    private_apt "$folder" &&
        "${private_apt[@]}" -y --download-only -t "$suite" install mesa-vulkan-drivers \
            mesa-drm-shim libvulkan1 libcjson1 libcmocka0 libstdc++6 >&2 || return 1
    for package in "$folder"/archives/*.deb; do
        dpkg -x "$package" "$root" || return 1
    done
    rm -rf "$folder/archives" "$folder/lists"
    : >"$folder/complete"
    printf '%s\n' "$root"
}

# fetch_sources PACKAGE...: Debian's sources, unpacked. Prints the folder that holds theirs.
fetch_sources() {
    local folder=$places/sources mirror package private_apt
    command -v apt-get >/dev/null || return 1
    for package in "$@"; do
        [ -e "$folder/$package.complete" ] && continue
        mkdir -p "$folder" || return 1
        mirror=$(debian_mirror) || return 1
        say "deb-src $mirror bookworm main" >"$folder/sources.list"
        say "fetching the sources of $package into $folder" >&2
        (
            cd "$folder" || exit 1
            private_apt "$folder" && "${private_apt[@]}" source --download-only "$package" >&2 &&
                cat "$package"_*.orig.tar.* >/dev/null && for archive in "$package"_*.orig.tar.?z; do
                    tar -xf "$archive" || exit 1
                done
        ) || return 1
        : >"$folder/$package.complete"
    done
    printf '%s\n' "$folder"
}

# What the shim of Intel is built with, in Debian's names.
intel_shim_packages=(
    build-essential ninja-build bison flex glslang-tools pkg-config libdrm-dev zlib1g-dev
    python3-mako python3-yaml python3-packaging
)

# Intel's shim, which Debian does not package: built from Debian 13's own sources of Mesa, with its
# meson. Prints the file.
build_intel_shim() {
    local folder=$places/intel file=$places/intel/libintel_noop_drm_shim.so
    local key=/usr/share/keyrings/debian-archive-keyring.gpg package mirror kind private_apt
    if [ -s "$file" ]; then
        printf '%s\n' "$file"
        return 0
    fi
    for package in "${intel_shim_packages[@]}"; do
        if ! is_installed "$package"; then
            say "Intel's shim is not built: package $package is not installed" >&2
            return 1
        fi
    done
    rm -rf "$folder"
    mkdir -p "$folder/work" || return 1
    mirror=$(debian_mirror) || return 1
    for kind in deb deb-src; do
        say "$kind [signed-by=$key] $mirror trixie main"
    done >"$folder/sources.list"
    say "building Intel's shim in $folder (sources of Mesa, 47 MB; minutes)" >&2
    (
        cd "$folder/work" || exit 1
        private_apt "$folder" && "${private_apt[@]}" source --download-only mesa &&
            "${private_apt[@]}" download meson && tar -xf mesa_*.orig.tar.?z &&
            dpkg -x meson_*.deb meson || exit 1
        # Debian's python3, whatever comes first in PATH: it has the packages above.
        PATH=/usr/bin:$PATH PYTHONPATH=$PWD/meson/usr/lib/python3/dist-packages \
            /usr/bin/python3 meson/usr/bin/meson setup build mesa-*/ --buildtype=plain \
            -Dtools=drm-shim,intel -Dvulkan-drivers=intel_hasvk -Dgallium-drivers= -Dplatforms= \
            -Dllvm=disabled -Dglx=disabled -Degl=disabled -Dgbm=disabled -Dopengl=false \
            -Dgles1=disabled -Dgles2=disabled -Dvalgrind=disabled -Dlibunwind=disabled \
            -Dzstd=disabled -Dshader-cache=disabled &&
            ninja -C build src/intel/tools/libintel_noop_drm_shim.so
    ) >"$folder/build.log" 2>&1 || {
        say "Intel's shim is not built: the end of $folder/build.log says why" >&2
        return 1
    }
    mv "$folder/work/build/src/intel/tools/libintel_noop_drm_shim.so" "$file" || return 1
    rm -rf "$folder/work" "$folder/lists" "$folder/archives"
    printf '%s\n' "$file"
}

# use_place PLACE: sets place_icds, place_libraries and the array place_loader, which goes in front
# of a command. False when the place cannot be had.
use_place() {
    local root
    place_loader=()
    place_libraries=
    case $1 in
    host)
        place_icds=/usr/share/vulkan/icd.d
        [ -d "$place_icds" ]
        ;;
    chromium)
        place_icds=$(fetch_chromium)
        ;;
    *)
        if [ "$1" = backports ]; then
            root=$(fetch_debian backports trixie trixie-backports) || return 1
        else
            root=$(fetch_debian "$1" "$1") || return 1
        fi
        place_icds=$root/usr/share/vulkan/icd.d
        place_libraries=$root/usr/lib/$multiarch
        place_loader=("$place_libraries/ld-linux-x86-64.so.2" --library-path "$place_libraries")
        ;;
    esac
}

# The ICD file of a driver, such as lvp, in the place that use_place chose.
place_icd() {
    local file
    for file in "$place_icds/$1.json" "$place_icds/$1_icd.x86_64.json" "$place_icds/$1_icd.json"; do
        if [ -e "$file" ]; then
            printf '%s\n' "$file"
            return 0
        fi
    done
    return 1
}

# Hands a noop shim to the loader: the driver then sees a device that accepts all and does nothing.
place_preload() {
    local file=$place_libraries/lib$1_noop_drm_shim.so
    [ -n "$place_libraries" ] || return 1
    if [ ! -e "$file" ] && [ "$1" = intel ]; then
        file=$(build_intel_shim) || return 1
    fi
    [ -e "$file" ] && place_loader+=(--preload "$file")
}
