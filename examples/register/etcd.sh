#!/usr/bin/env bash
# register/etcd.sh NAME ADDRESS COMMAND [ARGUMENT…]
#
# Runs a service. As long as the service lives, the key /services/app/NAME has the value ADDRESS
# (HOST:PORT) in etcd. The key belongs to a lease. When this script is stopped or the service ends, the
# key is deleted at once; when the whole machine or container dies, etcd deletes it after TTL seconds.
#
#   ETCD      the etcd to register in                                   http://127.0.0.1:2379
#   TTL       for how many seconds the key outlives a sudden death      10
#   DRAIN     seconds from deregistering to stopping the service        2
set -euo pipefail

name=$1 address=$2
shift 2
ttl=${TTL:-10} drain=${DRAIN:-2}
export ETCDCTL_ENDPOINTS=${ETCD:-http://127.0.0.1:2379} ETCDCTL_COMMAND_TIMEOUT=2s

# Takes a lease, sets the key with it, and renews it until etcd has forgotten it; then starts again.
register() {
  local granted lease='' renewal=''
  trap '[[ -z $renewal ]] || kill "$renewal"; [[ -z $lease ]] || etcdctl lease revoke "$lease"; exit' TERM
  while :; do
    # Prints: lease 694d… granted with TTL(10s)
    if granted=$(etcdctl lease grant "$ttl") && lease=$(cut -d ' ' -f 2 <<<"$granted") &&
      etcdctl put --lease "$lease" -- "/services/app/$name" "$address"; then
      etcdctl lease keep-alive "$lease" &
      renewal=$!
      wait $renewal || true
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
