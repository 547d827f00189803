#!/usr/bin/env bash
# register/consul.sh NAME ADDRESS COMMAND [ARGUMENT…]
#
# Runs a service, and keeps the key services/app/NAME at ADDRESS (HOST:PORT) in Consul's key/value
# store for as long as the service lives. A session holds the key: when this script is stopped or
# the service ends, both are deleted at once; when the whole machine or container dies, after TTL to
# 2 TTL seconds.
#
#   CONSUL    the Consul agent to register with                             127.0.0.1:8500
#   TTL       for how many seconds the key outlives a sudden death, at      10
#             least; Consul takes no less than 10 and may take twice as long
#   DRAIN     seconds from deregistering to stopping the service            2
set -euo pipefail

name=$1 address=$2
shift 2
ttl=${TTL:-10} drain=${DRAIN:-2}

# ask PATH [BODY]: what Consul answers to a PUT request, and in a line of its own the status.
ask() {
  curl -sS --max-time 5 -X PUT --data "${2:-}" --write-out '\n%{http_code}\n' \
    "http://${CONSUL:-127.0.0.1:8500}/v1/$1"
}

# Takes a session, has it hold the key and renews it until Consul no longer knows it; then again.
register() {
  local answer session=''
  trap '[[ -z $session ]] || ask "session/destroy/$session"; exit' TERM
  while :; do
    # LockDelay: a key that is deleted may be set again at once.
    answer=$(ask session/create "{\"Name\": \"$name\", \"TTL\": \"${ttl}s\", \"Behavior\": \"delete\",
      \"LockDelay\": \"0s\"}") || true
    session=$(sed -n 's/.*"ID": *"\([^"]*\)".*/\1/p' <<<"$answer") # {"ID": "adf4238a-…"}
    if [[ -n $session ]]; then
      answer=$(ask "kv/services/app/$name?acquire=$session" "$address") || true
      # Else the session of an earlier process holds the key still.
      if [[ $answer == true* ]]; then
        # Whatever else it answers, or does not: the session may be there still.
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
  # The load balancer hears of it and sends no more requests; then the service may end.
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

# Not before the service takes connections.
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
