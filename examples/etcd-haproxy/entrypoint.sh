#!/usr/bin/env bash
# The entrypoint of a container with confd and HAProxy: waits until etcd answers and the first
# configuration file is written and checked, then starts both, and finally ends both.
#
#   ETCD      the etcd to ask                               http://127.0.0.1:2379
#   LISTEN    where HAProxy listens                         :8080
#   RUN_DIR   the folder of haproxy.cfg and haproxy.pid     /run/etcd-haproxy
#   FOLLOW    the mode of confd: -watch, or -interval 10    -watch
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
run=${RUN_DIR:-/run/etcd-haproxy}
export LISTEN=${LISTEN:-:8080} RELOAD=$here/reload.sh # The template and the resource ask for them.
options=(-backend etcdv3 -node "${ETCD:-http://127.0.0.1:2379}" -confdir "$here/confd")
read -ra follow <<<"${FOLLOW:--watch}"

# Ends what runs, and this script with the code $1. confd goes first, so that it does not reload a
# HAProxy that is ending; USR1 lets HAProxy finish the requests that it has taken.
stop() {
  trap '' TERM INT QUIT
  if [[ -n ${confd:-} ]]; then
    kill -TERM "$confd" || true
    wait "$confd" || true
  fi 2>/dev/null
  if [[ -n ${haproxy:-} ]]; then
    # A signal that comes while it starts or reloads is dropped.
    while kill -USR1 "$haproxy"; do sleep 0.2; done
  fi 2>/dev/null
  exit "$1"
}
trap 'stop 0' TERM INT QUIT

mkdir -p "$run"
cd "$run" # Where the resource's `dest` and HAProxy's paths begin.
rm -f haproxy.pid # In a file of a killed container, the number belongs to another process by now.

# HAProxy is not running yet, so the first reload fails and stays pending. The next round finds the file in
# sync, and ends the loop.
until confd -onetime "${options[@]}"; do sleep 1; done

# This confd makes the pending reload. It tries again until HAProxy is up.
confd "${follow[@]}" "${options[@]}" &
confd=$!
# -W: a master, which starts a new worker for each reload and has it take over the listening sockets,
# so that they are never closed. -db: in the foreground.
haproxy -W -db -p haproxy.pid -f haproxy.cfg &
haproxy=$!

# Both normally run until they are stopped. If one of them ends, the container ends with an error, so that
# it is started again.
code=0
wait -n "$confd" "$haproxy" || code=$?
stop $((code ? code : 1))
