# shellcheck shell=bash
# Makes what run and test stand on: Debian packages, the virtual environment .venv, the Python packages. To be sourced.
# A stamp in .venv remembers what was installed, so that a second start costs no more than a look at it.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

readonly PYTHON_NEEDED="3.11"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" # where Debian puts mosquitto; not in everybody's PATH

say() { printf '== %s\n' "$*" >&2; }

die() {
    printf '\n%s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 126
    fi
}

may_install() { command -v apt-get >/dev/null && as_root true; }

# debian PACKAGE...: installs them, or returns non-zero where that cannot be done here.
debian() {
    local log status=0
    may_install || return 1
    say "installing with apt-get: $*"
    log=$(mktemp)
    {
        as_root apt-get -q -o DPkg::Lock::Timeout=300 update &&
            as_root env DEBIAN_FRONTEND=noninteractive \
                apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"
    } >"$log" 2>&1 </dev/null || status=$?
    [ "$status" -eq 0 ] || {
        tail -n 15 "$log" >&2
        say "apt-get could not install: $*"
    }
    rm -f "$log"
    return "$status"
}

# programs NAME:PACKAGE...: sees that the programs are there; leaves the packages that are still missing in $missing.
programs() {
    local pair packages=()
    missing=""
    for pair; do
        command -v "${pair%%:*}" >/dev/null || packages+=("${pair##*:}")
    done
    [ "${#packages[@]}" -gt 0 ] || return 0
    if debian "${packages[@]}"; then
        # Debian starts a broker of its own with the package; the switch brings its own and leaves port 1883 alone.
        if [[ " ${packages[*]} " == *" mosquitto "* ]] && [ -d /run/systemd/system ]; then
            as_root systemctl disable --now mosquitto.service >/dev/null 2>&1 || true
        fi
        return 0
    fi
    missing="${packages[*]}"
    return 1
}

good_python() {
    "$1" -c "import sys; sys.exit(sys.version_info < tuple(map(int, '$PYTHON_NEEDED'.split('.'))))" 2>/dev/null
}

find_python() {
    local name
    for name in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null && good_python "$name"; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

make_environment() {
    local python
    if ! python=$(find_python); then
        debian python3 python3-venv || true
        hash -r
        python=$(find_python) || die "Python $PYTHON_NEEDED or newer is needed: sudo apt-get install python3 python3-venv
(Debian 12 has 3.11; on anything older install a newer Python and say PYTHON=/its/path $0)"
    fi
    say "making the virtual environment .venv with $("$python" -V)"
    rm -rf .venv
    if "$python" -c "import ensurepip, venv" 2>/dev/null && "$python" -m venv .venv; then
        return
    fi
    if debian python3-venv && "$python" -m venv .venv; then
        return
    fi
    # No ensurepip and no right to install it: whatever else can make an environment will do.
    rm -rf .venv
    if command -v uv >/dev/null && uv venv --quiet --seed --python "$python" .venv; then return; fi
    if command -v virtualenv >/dev/null && virtualenv --quiet --python "$python" .venv; then return; fi
    if "$python" -m pip --version >/dev/null 2>&1 && "$python" -m venv --without-pip .venv &&
        "$python" -m pip --quiet --python .venv/bin/python install pip; then
        return
    fi
    rm -rf .venv
    die "The virtual environment could not be made. Install what it needs: sudo apt-get install python3-venv"
}

# prepare EXTRAS: .venv stands and holds this project with its extras ("" for none; "test" holds that too).
prepare() {
    local extras=$1 stamp wanted
    wanted="$(cksum <pyproject.toml) $PWD"
    for stamp in .venv/ready-test ".venv/ready-${extras:-run}"; do
        if [ -x .venv/bin/python ] && [ -f "$stamp" ] && [ "$(<"$stamp")" = "$wanted" ]; then
            return
        fi
    done
    if ! { [ -x .venv/bin/python ] && good_python .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }; then
        make_environment
    fi
    say "installing Python packages into .venv${extras:+ (with: $extras)}"
    local quiet=(--quiet)
    [ ! -t 1 ] || quiet=()
    .venv/bin/python -m pip install "${quiet[@]}" --editable ".${extras:+[$extras]}" ||
        die "The Python packages could not be installed: see what pip says above (is PyPI reached from here?)"
    printf '%s' "$wanted" >"$stamp"
}
