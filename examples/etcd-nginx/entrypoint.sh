#!/usr/bin/env bash
# The entrypoint of a container with confd and nginx: waits until etcd answers and the first
# configuration file is written and checked, then starts both, and finally ends both.
#
#   ETCD      the etcd to ask                               http://127.0.0.1:2379
#   LISTEN    where nginx listens                           8080
#   RUN_DIR   the folder of nginx.conf and nginx's files    /run/etcd-nginx
#   FOLLOW    the mode of confd: -watch, or -interval 10    -watch
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
run=${RUN_DIR:-/run/etcd-nginx}
export LISTEN=${LISTEN:-8080} # The template asks for it.
options=(-backend etcdv3 -node "${ETCD:-http://127.0.0.1:2379}" -confdir "$here/confd")
read -ra follow <<<"${FOLLOW:--watch}"

# Ends both, and this script with the exit code $1. confd ends first, so that it does not reload an
# nginx that is ending; QUIT lets nginx finish the requests that it has taken.
stop() {
  trap '' TERM INT QUIT
  if [[ -n ${confd:-} ]]; then
    kill -TERM "$confd" || true
    wait "$confd" || true
  fi 2>/dev/null
  if [[ -n ${nginx:-} ]]; then
    kill -QUIT "$nginx" || true
    wait "$nginx" || true
  fi 2>/dev/null
  exit "$1"
}
trap 'stop 0' TERM INT QUIT

mkdir -p "$run"
cd "$run" # Where the resource's `dest` and nginx's paths begin.
rm -f nginx.pid # In a file of a killed container, the number belongs to another process by now.

# nginx is not running yet, so the first reload fails and stays pending. The next round finds the file in
# sync, and ends the loop.
until confd -onetime "${options[@]}"; do sleep 1; done

# This confd makes the pending reload. It tries again until nginx is up.
confd "${follow[@]}" "${options[@]}" &
confd=$!
nginx -p . -c nginx.conf -e stderr -g 'daemon off;' &
nginx=$!

# Both normally run until they are stopped. If one of them ends, the container ends with an error, so that
# it is started again.
code=0
wait -n "$confd" "$nginx" || code=$?
stop $((code ? code : 1))
