#!/usr/bin/env bash
# register/consul.sh NAME ADDRESS COMMAND [ARGUMENT…]
#
# Runs a service. As long as the service lives, the key services/app/NAME has the value ADDRESS
# (HOST:PORT) in Consul's key/value store. A session holds the key. When this script is stopped or the
# service ends, both are deleted at once; when the whole machine or container dies, Consul deletes them
# after TTL to 2 TTL seconds.
#
#   CONSUL    the Consul agent to register with                             127.0.0.1:8500
#   TTL       for how many seconds the key outlives a sudden death, at      10
#             least; Consul takes no less than 10 and may take twice as long
#   DRAIN     seconds from deregistering to stopping the service            2
set -euo pipefail

name=$1 address=$2
shift 2
ttl=${TTL:-10} drain=${DRAIN:-2}

# ask PATH [BODY]: prints Consul's answer to a PUT request, and the status in a separate line.
ask() {
  curl -sS --max-time 5 -X PUT --data "${2:-}" --write-out '\n%{http_code}\n' \
    "http://${CONSUL:-127.0.0.1:8500}/v1/$1"
}

# Creates a session that holds the key, and renews it until Consul has forgotten it; then starts again.
register() {
  local answer session=''
  trap '[[ -z $session ]] || ask "session/destroy/$session"; exit' TERM
  while :; do
    # LockDelay 0s: a deleted key can be set again at once.
    answer=$(ask session/create "{\"Name\": \"$name\", \"TTL\": \"${ttl}s\", \"Behavior\": \"delete\",
      \"LockDelay\": \"0s\"}") || true
    session=$(sed -n 's/.*"ID": *"\([^"]*\)".*/\1/p' <<<"$answer") # {"ID": "adf4238a-…"}
    if [[ -n $session ]]; then
      answer=$(ask "kv/services/app/$name?acquire=$session" "$address") || true
      # Otherwise the session of an earlier process still holds the key.
      if [[ $answer == true* ]]; then
        # After any other answer, or none, the session can still exist.
        until [[ $(ask "session/renew/$session") == *$'\n'404 ]]; do
          sleep $((ttl / 3 + 1)) &
          wait $!
        done
      else
        ask "session/destroy/$session" || true
      fi
      session=
    fi
    sleep 1 &
    wait $!
  done
} >/dev/null

stop() {
  trap '' TERM INT
  # The load balancer learns of it and sends no more requests; then the service can end.
  if [[ -n ${registration:-} ]]; then
    kill -TERM "$registration" || true
    wait "$registration" || true
    sleep "$drain"
  fi 2>/dev/null
  kill -TERM "$service" 2>/dev/null || true
  wait "$service" || true
  exit "$1"
}
trap 'stop 0' TERM INT

"$@" &
service=$!

# Only after the service accepts connections.
until (: <"/dev/tcp/${address%:*}/${address##*:}") 2>/dev/null; do
  kill -0 "$service" 2>/dev/null || stop 1
  sleep 0.1
done
register &
registration=$!

code=0
wait "$service" || code=$?
drain=0
stop "$code"
