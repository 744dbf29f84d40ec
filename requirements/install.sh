#!/usr/bin/env bash
# Sets the project up in .venv from the lock: resumable, and done only once for a given lock.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "setup: $1" >&2; exit 1; }

python=${PYTHON:-}
if [ -z "$python" ]; then
  for candidate in python3.11 python3 python3.13 python3.12; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      python=$candidate
      break
    fi
  done
fi
[ -n "$python" ] || fail "Python 3.11, 3.12 or 3.13 is needed and none is on PATH; install it or name one: make setup PYTHON=/path/to/python3.11"
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
  || fail "$python is not Python 3.11, 3.12 or 3.13; name another: make setup PYTHON=/path/to/python3.11"
"$python" -c 'import ensurepip, venv' 2>/dev/null \
  || fail "$python cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv"
if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then
  glibc=$("$python" -c 'import platform; print(platform.libc_ver()[1])')
  [ "$(printf '2.39\n%s\n' "$glibc" | sort -V | head -n 1)" = 2.39 ] \
    || fail "Python 3.12 and newer need glibc 2.39 (Debian 13, Ubuntu 24.04), this is $glibc; use Python 3.11 here: make setup PYTHON=python3.11"
  command -v g++ >/dev/null \
    || fail "g++ is needed to build pyfarmhash on Python 3.12 and newer; on Debian and Ubuntu: apt-get install g++ python3-dev"
fi

[ -x .venv/bin/pip ] || {
  echo "setup: making .venv with $("$python" --version)"
  rm -rf .venv
  "$python" -m venv .venv
}
echo "setup: installing the locked packages (4.5 GB; a minute or two)"
.venv/bin/pip install --quiet --require-hashes -r requirements/uv.txt
# Compiled here, not at each start: with PYTHONDONTWRITEBYTECODE, importing TensorFlow took 17 s in place of 7.
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --require-hashes --compile-bytecode -r requirements/lock.txt
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
date > .venv/.complete
