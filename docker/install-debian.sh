#!/bin/sh
# Install the Debian packages that Relais needs, on Debian 12 or later. Does nothing where nothing is missing.
#
#   docker/install-debian.sh [run] [test]
#
# run   Orthanc with its Python and DICOMweb plugins, and the means to make .venv for the Python that it embeds
# test  what the tests, the demo and the benchmarks start besides: dcmtk, PostgreSQL, Orthanc's plugin for it, Chromium,
#       curl, and a library of the Node.js that comes with Playwright
#
# Debian starts its own Orthanc (ports 8042 and 4242) and a PostgreSQL cluster on installation. Neither may stand in
# the way: nothing is started while we install, and an Orthanc service that came with us is disabled. One that was
# there before is somebody's: it stays as it is, and we say so.
# shellcheck disable=SC2046,SC2086 # lists of packages are meant to be split
set -eu

POLICY=/usr/sbin/policy-rc.d

packages_of() {
    case $1 in
        run) echo orthanc orthanc-python orthanc-dicomweb python3-venv tzdata ca-certificates ;;
        test) echo dcmtk postgresql orthanc-postgresql chromium curl libatomic1 ;;
        *) say "unknown group: $1 (run, test)"; exit 2 ;;
    esac
}

say() { echo "install-debian: $*" >&2; }

is_installed() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q '^install ok installed$'; }

missing_packages() {
    for package in $(wanted_packages "$@"); do
        is_installed "$package" || echo "$package"
    done
}

wanted_packages() {
    for group in "$@"; do
        packages_of "$group"
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

forbid_starting() {
    if [ -e "$POLICY" ]; then
        as_root mv "$POLICY" "$POLICY.before-relais"
    fi
    ours=yes
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null # 101: action forbidden by policy
    as_root chmod 755 "$POLICY"
}

allow_starting() {
    if [ "$ours" = yes ]; then
        as_root rm -f "$POLICY"
    fi
    if [ -e "$POLICY.before-relais" ]; then
        as_root mv "$POLICY.before-relais" "$POLICY"
    fi
}

disable_service() {
    if [ -d /run/systemd/system ]; then
        as_root systemctl disable --now "$1"
    else
        as_root update-rc.d "$1" disable
    fi
}

[ $# -gt 0 ] || set -- run test
wanted_packages "$@" >/dev/null

if ! command -v apt-get >/dev/null; then
    say "this is not Debian; install these yourself:" $(wanted_packages "$@")
    exit 1
fi

missing=$(missing_packages "$@")
if [ -z "$missing" ]; then
    exit 0
fi
if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    say "not root, and there is no sudo. As root, run: apt-get install" $missing
    exit 1
fi

orthanc_was_there=$(is_installed orthanc && echo yes || echo no)

say "installing" $missing
ours=no
trap allow_starting EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
forbid_starting
as_root apt-get update -qq
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing

if [ "$orthanc_was_there" = no ] && is_installed orthanc; then
    disable_service orthanc
    say "Debian's own Orthanc service is disabled: Relais starts its own"
elif [ "$orthanc_was_there" = yes ] && pgrep -x Orthanc >/dev/null 2>&1; then
    say "an Orthanc already runs here and was left alone: where it holds a port, Relais takes another or says so"
fi
