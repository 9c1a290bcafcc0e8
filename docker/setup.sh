#!/bin/sh
# Make this folder ready: Debian's packages, and .venv. Quick where nothing is to be done.
#
#   docker/setup.sh run|test
#
# The plugin loads packages from .venv into the interpreter that Debian's Orthanc plugin embeds, so .venv is made by
# that very version, and made anew when Debian changes it.
set -eu
cd "$(dirname "$0")/.."

PLUGIN=/usr/share/orthanc/plugins/libOrthancPython.so

say() { echo "setup: $*" >&2; }

case ${1:-run} in
    run) set -- run && requirements=docker/requirements.txt ;;
    test) set -- run test && requirements=docker/requirements-test.txt ;;
    *) say "unknown set-up: $1 (run, test)" && exit 2 ;;
esac

docker/install-debian.sh "$@"

python=$(ldd "$PLUGIN" | sed -n 's/.*libpython\(3\.[0-9]*\)\.so.*/\/usr\/bin\/python\1/p' | head -n 1)
if [ ! -x "$python" ]; then
    say "$PLUGIN embeds ${python:-no Python that we can see}, which is not installed"
    exit 1
fi

if [ "$(readlink -f .venv/bin/python 2>/dev/null)" != "$(readlink -f "$python")" ]; then
    say "making .venv with $python"
    rm -rf .venv
    "$python" -m venv .venv
fi

# .venv keeps a copy of the list that it was last made from; the tests' list includes the other.
stamp=".venv/$(basename "$requirements")"
if ! cat docker/requirements.txt "$requirements" | cmp -s - "$stamp"; then
    say "installing $requirements into .venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$requirements"
    cat docker/requirements.txt "$requirements" >"$stamp"
fi
