# Sourced, not run: makes .venv in the checkout hold exactly what requirements.lock names, the project itself, and what
# installs them (installer.lock).
#
# It does nothing when that is so already, judged by a stamp over the locks, pyproject.toml, the interpreter and the
# place of the checkout (a virtual environment does not survive being moved). Two scripts started together take turns.
# Needs Python 3.11 or newer with venv; needs no root. PYTHON names another interpreter.

coordinator_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
coordinator_venv="$coordinator_root/.venv"

_venv_fail() {
    printf 'set-up: %s\n' "$*" >&2
    return 1
}

_venv_find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    _venv_fail 'no Python 3.11 or newer found; install one, or name it: PYTHON=/path/to/python3.12'
}

_venv_stamp() {
    { "$1" -c 'import sys; print(sys.version)'; printf '%s\n' "$coordinator_root"
      cat "$coordinator_root/requirements.lock" "$coordinator_root/scripts/lib/installer.lock" "$coordinator_root/pyproject.toml"; } |
        "$1" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'
}

_venv_works_with() {
    local say='import sys; print(sys.version)'
    "$coordinator_venv/bin/python" -m pip --version &&
        [ "$("$coordinator_venv/bin/python" -c "$say")" = "$("$1" -c "$say")" ] &&
        grep -qF "$coordinator_venv" "$coordinator_venv/bin/activate"
}

# uv fetches and compiles side by side: 7 s where pip takes 35. Where there is none for this machine, or it does not reach
# the index that pip is told of, pip does all of it.
_venv_pip() {
    local pip=("$coordinator_venv/bin/python" -m pip -qq --disable-pip-version-check)
    if [ -x "$coordinator_venv/bin/uv" ] &&
        "$coordinator_venv/bin/uv" -qq pip install --compile-bytecode --python "$coordinator_venv/bin/python" "$@"; then
        return 0
    fi
    "${pip[@]}" install "$@"
}

_venv_fill() {
    local python="$1"
    # In place when it works: then a changed setting costs seconds. From nothing when it is broken, was moved here,
    # or is of another interpreter.
    if ! _venv_works_with "$python" >/dev/null 2>&1; then
        printf 'set-up: creating %s\n' "$coordinator_venv" >&2
        "$python" -m venv --clear "$coordinator_venv" ||
            { _venv_fail 'could not create it (on Debian and Ubuntu: apt-get install python3-venv)'; return 1; }
    fi
    printf 'set-up: installing requirements.lock\n' >&2
    _venv_pip --only-binary :all: --require-hashes -r "$coordinator_root/scripts/lib/installer.lock" 2>/dev/null || true
    _venv_pip --require-hashes -r "$coordinator_root/requirements.lock" ||
        { _venv_fail 'could not install requirements.lock'; return 1; }
    # The build backend is in the lock, so building needs nothing more from anywhere. The checkout as a place where Python
    # looks, and not by a finder of its own, which takes a tenth of the time in which a command starts.
    _venv_pip --no-deps --no-build-isolation --config-settings editable_mode=compat --editable "$coordinator_root" ||
        { _venv_fail 'could not install the project itself'; return 1; }
}

_venv_ensure_locked() {
    local python stamp
    python="$(_venv_find_python)" || return 1
    stamp="$(_venv_stamp "$python")" || return 1
    if [ "$(cat "$coordinator_venv/.stamp" 2>/dev/null)" = "$stamp" ] && "$coordinator_venv/bin/python" -c '' 2>/dev/null; then
        return 0
    fi
    rm -f "$coordinator_venv/.stamp"
    _venv_fill "$python" || return 1
    printf '%s\n' "$stamp" >"$coordinator_venv/.stamp"
    printf 'set-up: done\n' >&2
}

# Leaves the environment's bin folder first on PATH.
ensure_venv() {
    local python status=0
    python="$(_venv_find_python)" || return 1
    exec 9>"$coordinator_root/.venv.lock"
    # Python takes the lock on the shell's own descriptor, which keeps it: the flock program is not everywhere.
    "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' || return 1
    _venv_ensure_locked || status=$?
    exec 9>&-
    if [ "$status" -eq 0 ]; then
        PATH="$coordinator_venv/bin:$PATH"
        export PATH
    fi
    return "$status"
}
