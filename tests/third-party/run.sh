#!/usr/bin/env bash
# Checks by programs of others: Prism with Meta's own OpenAPI file, Kapso's client, clients that
# others' generators make from docs/openapi.json, and schemathesis.
# Builds the sandbox, the server and the driver, starts them on free ports for each check, stops them
# again.
#
#   tests/third-party/run.sh [kapso] [prism] [python] [typescript] [schemathesis]
#
# All of them when none is named. SCHEMATHESIS_SEED makes its requests repeat (1 when absent);
# SCHEMATHESIS_SECONDS (70) and SCHEMATHESIS_EXAMPLES (12, of an operation) are for each of its runs;
# SCHEMATHESIS_REPORTS is a folder for what was asked and answered.
#
# SERVER_BIN, SANDBOX_BIN and DRIVER_BIN are paths from the root of programs that are built already
# (`kabar`, and the examples `serve` and `drive`). With all three nothing is built.
#
# Meta's file (1 MB) lies beside the project, not in it; META_OPENAPI says where else. Without it
# the Prism check is skipped, unless CI=true.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
export META_OPENAPI=${META_OPENAPI:-$root/../shared/reference/meta-business-messaging-v23.yaml}

wanted=${*:-kapso prism python typescript schemathesis}
scratch=$(mktemp -d)
sandbox_pid=
server_pid=
stop_sandbox() {
  if [[ -n $sandbox_pid ]]; then
    kill "$sandbox_pid" 2>/dev/null || true
    wait "$sandbox_pid" 2>/dev/null || true
    sandbox_pid=
  fi
}
stop_server() {
  if [[ -n $server_pid ]]; then
    kill "$server_pid" 2>/dev/null || true
    wait "$server_pid" 2>/dev/null || true
    server_pid=
  fi
}
cleanup() {
  stop_server
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
  "$sandbox" 127.0.0.1:0 >"$scratch/sandbox.log" 2>&1 &
  sandbox_pid=$!
  if ! poll 30 sandbox_answers; then
    echo "the sandbox does not start:" >&2
    cat "$scratch/sandbox.log" >&2
    return 1
  fi
  export SANDBOX
}

server_answers() {
  kill -0 "$server_pid" || return 1
  API_URL=$(sed -n 's#^kabar listens on \(http.*\)$#\1#p' "$scratch/server.log")
  API_KEY=$(sed -n 's#^.*shown this once: \(.*\)$#\1#p' "$scratch/server.log")
  [[ -n $API_URL && -n $API_KEY ]] && curl -fsS -o /dev/null --max-time 2 "$API_URL/readyz"
}

# start_server [SETTING=VALUE…]: a fresh server on a fresh sandbox. What it mails is in $MAILS, and
# it may send webhooks to this machine.
start_server() {
  stop_server
  start_sandbox
  local data
  data=$(mktemp -d "$scratch/data.XXXXXX")
  export MAILS=$data/mails
  env KABAR_DATA="$data" KABAR_LISTEN=127.0.0.1:0 KABAR_GRAPH__BASE_URL="$SANDBOX" \
    KABAR_META_APP__APP_SECRET=sandbox-app-secret \
    KABAR_META_APP__VERIFY_TOKEN=sandbox-verify-token KABAR_LOG__LEVEL=warn \
    KABAR_WEBHOOKS__ALLOW='["127.0.0.1"]' KABAR_PAIRED__URL=ws://127.0.0.1:9/ws/chat \
    KABAR_PAIRED__VERSION=2.3000.1030000000 "$@" \
    "$server" serve >"$scratch/server.log" 2>&1 &
  server_pid=$!
  if ! poll 30 server_answers; then
    echo "the server does not start:" >&2
    cat "$scratch/server.log" >&2
    return 1
  fi
  export API_URL API_KEY
  curl -fsS -o /dev/null -X PUT -H 'content-type: application/json' "$SANDBOX/control/webhook" \
    -d "{\"callback_url\": \"$API_URL/webhooks/cloud-api/$installation_app\"}"
}

# api METHOD PATH BODY [HEADER]: a call as the provider.
api() {
  curl -fsS -X "$1" -H "authorization: Bearer $API_KEY" -H 'content-type: application/json' \
    ${4:+-H "$4"} -d "$3" "$API_URL/api/v1$2"
}

# field NAME…: a field of the JSON that comes in.
field() {
  node -e 'let it = JSON.parse(require("fs").readFileSync(0));
    for (const name of process.argv.slice(1)) it = it[name];
    process.stdout.write(typeof it === "string" ? it : JSON.stringify(it));' "$@"
}

wants() { [[ " $wanted " == *" $1 "* ]]; }

# Python's tools in a folder of their own, which is kept while the list of them stays the same.
python_tools() {
  venv=$here/clients/.venv
  local list
  list=$(sha256sum clients/requirements.txt | cut -d' ' -f1)
  if [[ $(cat "$venv/.list" 2>/dev/null) != "$list" ]]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r clients/requirements.txt
    echo "$list" >"$venv/.list"
  fi
}

python_client() {
  echo
  echo "--- a Python client made from docs/openapi.json"
  python_tools
  local work=$scratch/python
  mkdir "$work"
  cp clients/python/*.py "$work"
  (cd "$work" && PATH=$venv/bin:$PATH openapi-python-client generate --fail-on-warning --meta none \
    --path "$root/docs/openapi.json" --config "$here/clients/python/client.yaml" \
    --output-path kabar_client)
  # What is generated is judged by how it is used.
  (cd "$work" && "$venv/bin/mypy" --strict --follow-imports=silent ./*.py)
  start_server
  (cd "$work" && timeout --kill-after=10 120 "$venv/bin/python" main_job.py)
}

typescript_client() {
  echo
  echo "--- a TypeScript client made from docs/openapi.json"
  local work=$scratch/typescript
  mkdir "$work"
  ln -s "$here/node_modules" "$work/node_modules"
  cp clients/typescript/* "$work"
  echo '{ "type": "module" }' >"$work/package.json"
  # Otherwise whatever has a default would have to be given.
  npx openapi-typescript "$root/docs/openapi.json" --default-non-nullable=false -o "$work/kabar.ts"
  (cd "$work" && node_modules/.bin/tsc -p .)
  start_server
  (cd "$work" && timeout --kill-after=10 120 node main-job.js)
}

# ids OF…: all ids in the answers of these addresses.
ids() {
  local address
  for address in "$@"; do
    curl -fsS -H "authorization: Bearer $API_KEY" "$API_URL/api/v1/$address"
  done | grep -oE '[a-z]{3}_[0-9a-f]{32}' | sort -u | tr '\n' ' '
}

# A shop with one of everything, as its owner: most of the API is about what exists.
furnish() {
  local business device to='{"phone": "+6281200000031"}' text='{"type": "text", "body": "halo"}'
  business=$(curl -fsS -H 'content-type: application/json' "$SANDBOX/control/accounts" \
    -d '{"token": "judged", "numbers": [{"phone_number_id": "700000000000001"}]}')
  device=$(api POST /devices "{\"name\": \"Toko\", \"channel\": \"cloud_api\", \"credential\": \"judged\",
    \"address\": \"700000000000001\", \"parent\": \"$(field waba_id <<<"$business")\"}" | field device id)
  curl -fsS -o /dev/null -H 'content-type: application/json' "$SANDBOX/control/inbound" \
    -d "{\"from\": \"6281200000031\", \"phone_number_id\": \"700000000000001\", \"content\": $text}"
  {
    api POST /messages "{\"messages\": [{\"device_id\": \"$device\", \"to\": $to, \"content\": $text},
      {\"device_id\": \"$device\", \"to\": $to, \"content\": $text, \"due_at\": \"2030-01-01T00:00:00Z\"}]}"
    api POST /contacts '{"phone": "+6281200000032", "name": "Budi"}'
    api POST /groups '{"name": "Regulars"}'
    api POST /opt-outs '{"phones": ["+6281200000033"]}'
    api POST /rules "{\"device_id\": \"$device\", \"name\": \"Hours\", \"matching\": {\"kind\": \"exact\",
      \"keywords\": [\"jam\"]}, \"response\": {\"type\": \"message\", \"content\": $text}}"
    api POST /templates "{\"name\": \"Greeting\", \"language\": \"id\", \"content\": $text}"
    api POST /webhooks '{"url": "https://example.com/hook", "events": ["broadcast.completed"]}'
    api POST /broadcasts "{\"name\": \"News\", \"senders\": [{\"device_id\": \"$device\"}],
      \"content\": $text, \"recipients\": [$to]}"
  } >/dev/null
}

# schemathesis WHO [KEY]: every operation, with what fits its schema and what does not.
schemathesis() {
  local key=${2:-}
  echo
  echo "--- schemathesis, $1"
  (cd "$scratch" && SCHEMATHESIS_HOOKS=$here/clients/what_exists.py \
    timeout --kill-after=10 $((SCHEMATHESIS_SECONDS + 230)) \
    "$venv/bin/schemathesis" run "$root/docs/openapi.json" \
    --url "$API_URL/api/v1" ${key:+-H "Authorization: Bearer $key"} ${3:+-H "$3"} \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance \
    --phases examples,coverage,fuzzing --max-examples "${SCHEMATHESIS_EXAMPLES:-12}" \
    --max-time "$SCHEMATHESIS_SECONDS" --seed "${SCHEMATHESIS_SEED:-1}" --suppress-health-check all \
    --warnings off --no-color ${SCHEMATHESIS_REPORTS:+--report ndjson --report-dir "$SCHEMATHESIS_REPORTS"})
}

judged_by_schemathesis() {
  python_tools
  # Whoever has no credential is asked about as much as the others.
  start_server KABAR_LIMITS__UNPROVEN_PER_MINUTE=0
  local account permissions made key
  account=$(api POST /accounts '{"name": "Judged", "country": "ID"}' | field account id)
  permissions='["settings:read","settings:write","users:read","users:write","keys:read","keys:write",
    "devices:read","devices:write","contacts:read","contacts:write","messages:read","messages:send",
    "rules:read","rules:write","templates:read","templates:write","broadcasts:read",
    "broadcasts:write","webhooks:read","webhooks:write","statistics:read","events:read","audit:read"]'
  made=$(api POST /keys "{\"name\": \"all\", \"permissions\": $permissions}" "kabar-account: $account")
  key=$(field secret <<<"$made")
  SPARED="$account $(grep -oE 'key_[0-9a-f]{32}' <<<"$made") $(ids keys users)"
  API_KEY=$key furnish
  KNOWN=$(API_KEY=$key ids devices contacts conversations messages groups opt-outs rules templates webhooks broadcasts)
  export SPARED KNOWN
  SCHEMATHESIS_SECONDS=${SCHEMATHESIS_SECONDS:-70}
  local failed=
  schemathesis "a customer" "$key" || failed=yes
  schemathesis "the provider" "$API_KEY" || failed=yes
  schemathesis "the provider in an account" "$API_KEY" "kabar-account: $account" || failed=yes
  schemathesis "nobody" || failed=yes
  [[ -z $failed ]]
}

check() {
  local file=$1
  echo
  echo "--- $file"
  start_sandbox
  timeout --kill-after=10 300 node --test "$file"
}

cd "$root"
built=
if [[ -z ${SERVER_BIN:-} || -z ${SANDBOX_BIN:-} || -z ${DRIVER_BIN:-} ]]; then
  cargo build --workspace --bins --examples --locked
  built=$(cargo metadata --format-version 1 --no-deps --locked | field target_directory)/debug
fi
server=${SERVER_BIN:-$built/kabar}
sandbox=${SANDBOX_BIN:-$built/examples/serve}
export DRIVER=${DRIVER_BIN:-$built/examples/drive}
installation_app=app_00000000000070008000000000000001

cd "$here"
# npm ci is quick when it has nothing to do, but removes everything first: keep what fits.
lock=$(sha256sum package-lock.json | cut -d' ' -f1)
if [[ $(cat node_modules/.lock 2>/dev/null) != "$lock" ]]; then
  npm ci --no-audit --no-fund
  echo "$lock" >node_modules/.lock
fi

if wants kapso; then
  check kapso.test.mjs
fi
if ! wants prism; then
  :
elif [[ -f $META_OPENAPI ]]; then
  check prism.test.mjs
elif [[ ${CI:-} == true ]]; then
  echo "Meta's OpenAPI file is not at $META_OPENAPI" >&2
  exit 1
else
  echo "--- prism.test.mjs: SKIPPED, Meta's OpenAPI file is not at $META_OPENAPI"
fi
if wants python; then
  python_client
fi
if wants typescript; then
  typescript_client
fi
if wants schemathesis; then
  judged_by_schemathesis
fi
echo
echo "third-party checks passed"
