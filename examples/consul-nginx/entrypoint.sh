#!/usr/bin/env bash
# Runs confd and nginx side by side, as the only process that a container starts: waits until
# Consul answers and a good configuration is made of it, starts both, and ends both.
#
#   CONSUL    the Consul agent to ask                       127.0.0.1:8500
#   LISTEN    where nginx listens                           8080
#   RUN_DIR   the folder of nginx.conf and nginx's files    /run/consul-nginx
#   FOLLOW    how confd goes on: -watch, or -interval 10    -watch
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
run=${RUN_DIR:-/run/consul-nginx}
export LISTEN=${LISTEN:-8080} # The template asks for it.
options=(-backend consul -node "${CONSUL:-127.0.0.1:8500}" -confdir "$here/confd")
read -ra follow <<<"${FOLLOW:--watch}"

# Ends what runs, and this script with the code $1. confd goes first, so that it does not reload an
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
rm -f nginx.pid # That of a container that was killed names another process by now.

# Nothing is there to be reloaded yet, so this first pass runs no commands; the check is made here.
until confd -onetime -sync-only "${options[@]}" && nginx -t -q -p . -c nginx.conf -e stderr; do
  sleep 1
done

# A change that comes before nginx is up is not lost: its reload fails, and is tried again.
confd "${follow[@]}" "${options[@]}" &
confd=$!
nginx -p . -c nginx.conf -e stderr -g 'daemon off;' &
nginx=$!

# Neither ends by itself. If one does, so does the container, and whoever runs it starts it again.
code=0
wait -n "$confd" "$nginx" || code=$?
stop $((code ? code : 1))
