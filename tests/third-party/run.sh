#!/usr/bin/env bash
# Checks by programs of others: Prism with Meta's own OpenAPI file, and Kapso's client.
# Builds the sandbox and the driver, starts a sandbox on a free port for each check, stops it again.
#
#   tests/third-party/run.sh
#
# Meta's file (1 MB) lies beside the project, not in it; META_OPENAPI says where else. Without it
# the Prism check is skipped, unless CI=true.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
export META_OPENAPI=${META_OPENAPI:-$root/../shared/reference/meta-business-messaging-v23.yaml}

scratch=$(mktemp -d)
sandbox_pid=
stop_sandbox() {
  if [[ -n $sandbox_pid ]]; then
    kill "$sandbox_pid" 2>/dev/null || true
    wait "$sandbox_pid" 2>/dev/null || true
    sandbox_pid=
  fi
}
cleanup() {
  stop_sandbox
  rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# poll SECONDS COMMAND…: until the command succeeds.
poll() {
  local seconds=$1 tries=0
  shift
  until "$@" 2>/dev/null; do
    tries=$((tries + 1))
    ((tries < seconds * 10)) || return 1
    sleep 0.1
  done
}

sandbox_answers() {
  kill -0 "$sandbox_pid" || return 1
  SANDBOX=$(sed -n 's#^Graph API *\(http[^ ]*\)/v[0-9.]*$#\1#p' "$scratch/sandbox.log")
  [[ -n $SANDBOX ]] && curl -fsS -o /dev/null --max-time 2 "$SANDBOX/control/state"
}

start_sandbox() {
  stop_sandbox
  "$examples/serve" 127.0.0.1:0 >"$scratch/sandbox.log" 2>&1 &
  sandbox_pid=$!
  if ! poll 30 sandbox_answers; then
    echo "the sandbox does not start:" >&2
    cat "$scratch/sandbox.log" >&2
    return 1
  fi
  export SANDBOX
}

check() {
  local file=$1
  echo
  echo "--- $file"
  start_sandbox
  timeout --kill-after=10 300 node --test "$file"
}

cd "$root"
cargo build --workspace --examples --locked
target=$(cargo metadata --format-version 1 --no-deps --locked |
  node -e 'process.stdout.write(JSON.parse(require("fs").readFileSync(0)).target_directory)')
examples=$target/debug/examples
export DRIVER=$examples/drive

cd "$here"
# npm ci is quick when it has nothing to do, but removes everything first: keep what fits.
lock=$(sha256sum package-lock.json | cut -d' ' -f1)
if [[ $(cat node_modules/.lock 2>/dev/null) != "$lock" ]]; then
  npm ci --no-audit --no-fund
  echo "$lock" >node_modules/.lock
fi

check kapso.test.mjs
if [[ -f $META_OPENAPI ]]; then
  check prism.test.mjs
elif [[ ${CI:-} == true ]]; then
  echo "Meta's OpenAPI file is not at $META_OPENAPI" >&2
  exit 1
else
  echo "--- prism.test.mjs: SKIPPED, Meta's OpenAPI file is not at $META_OPENAPI"
fi
echo
echo "third-party checks passed"
