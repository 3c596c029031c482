# shellcheck shell=bash
# Shared by tools/peer-ggml and tools/llama: a chroot with another Debian suite, from the mirror
# that this host uses. A chroot needs root, or sudo. Sourced after tools/common.sh.

# stop TEXT [EXIT-CODE]
stop() {
    say "error: $1" >&2
    exit "${2-1}"
}

# make_chroot ROOT SUITE
make_chroot() {
    local root=$1 suite=$2 mirror log=$1.log
    mirror=$(debian_mirror)
    install_missing debootstrap debian-archive-keyring >&2
    mkdir -p "$(dirname "$root")"
    say "making a chroot with Debian $suite in $root, from $mirror" >&2
    as_root rm -rf "$root.part"
    if ! as_root debootstrap --variant=minbase --include=ca-certificates "$suite" "$root.part" \
        "$mirror" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        stop "debootstrap failed; its output is in $log"
    fi
    as_root mv "$root.part" "$root"
    rm -f "$log"
}

# in_chroot ROOT COMMAND...: /proc and /dev are mounted for this command alone.
in_chroot() {
    # shellcheck disable=SC2016
    as_root unshare --mount sh -c '
        root=$1
        shift
        mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" || exit
        exec chroot "$root" env -u TMPDIR -u VK_ICD_FILENAMES -u VK_DRIVER_FILES HOME=/root \
            LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
    ' sh "$@"
}

# is_chroot ROOT SUITE: sid's os-release tells the name of the release it will be.
is_chroot() {
    grep -qs "^VERSION_CODENAME=$2$" "$1/etc/os-release" || grep -qs "/$2$" "$1/etc/debian_version"
}

# open_chroot ROOT SUITE: makes it if need be, and gives it this host's resolver.
open_chroot() {
    local root=$1 suite=$2
    case $root in
    /*) ;;
    *) stop "$root: the folder must be an absolute path" 2 ;;
    esac
    if [ ! -e "$root" ]; then
        make_chroot "$root" "$suite"
    fi
    if ! is_chroot "$root" "$suite"; then
        stop "$root holds no Debian $suite: name another folder with --chroot" 2
    fi
    if [ -e /etc/resolv.conf ]; then
        as_root cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    fi
}

# copy_sources ROOT FOLDER: what a build in the chroot needs. Times of files are kept: what is
# unchanged is not built again.
copy_sources() {
    local root=$1 folder=$2
    as_root rm -rf "$root$folder"
    as_root mkdir -p "$root$folder"
    tar -c CMakeLists.txt CMakePresets.json cmake examples include shaders src tests tools |
        as_root tar -x -C "$root$folder" --no-same-owner
}
