#!/usr/bin/env bash
# A tour of less than a minute. It runs etcd, two services and the container of etcd-nginx on this
# machine, and shows what happens when things change, break and die. It leaves nothing behind.
#
# Needs confd, etcd, etcdctl, nginx and curl in PATH, and six free ports from TOUR_PORT (18080) on.
set -euo pipefail

examples=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
PATH=$PATH:/usr/sbin:/sbin
for program in confd etcd etcdctl nginx curl; do
  command -v "$program" >/dev/null || { echo "tour.sh: there is no $program in PATH" >&2; exit 1; }
done

port=${TOUR_PORT:-18080}
site=http://127.0.0.1:$port/
export ETCD=http://127.0.0.1:$((port + 4)) TTL=2 DRAIN=1
export ETCDCTL_ENDPOINTS=$ETCD
folder=$(mktemp -d)
chmod 755 "$folder" # nginx's workers are another user.
cd "$folder"
log=log
started=()

end() {
  for process in "${started[@]}"; do kill -KILL -- "-$process" || true; done
  kill_services */service.pid
  wait || true
  rm -rf "$folder"
} 2>/dev/null
trap end EXIT

# start COMMAND…: runs the command in the background, in its own process group, whose number is `$!`.
start() {
  setsid "$@" &
  started+=($!)
}

# kill_services FILE…: kills the services with these files. The command of `confd register` has a process group
# of its own.
kill_services() {
  for file in "$@"; do kill -KILL "$(<"$file")" || true; done
}

title() { printf '\n== %s\n' "$1"; }

# Shows a command, and runs it.
run() {
  echo "\$ $1"
  eval "$1"
}

# await TEXT: shows confd's next log line with this text, from the level on.
seen=0
await() {
  local line
  for _ in {1..200}; do
    if line=$(tail -n "+$((seen + 1))" "$log" | grep -n -m 1 -F -- "$1"); then
      seen=$((seen + ${line%%:*}))
      sed 's/^.*confd\[[0-9]*\]: //' <<<"${line#*:}"
      return
    fi
    sleep 0.1
  done
  echo "tour.sh: still not in the log: $1" >&2
  cat "$log" >&2
  exit 1
}

# await_end: skips the log lines so far.
await_end() { seen=$(wc -l <"$log"); }

# answers NAME…: waits until requests reach exactly these services, and shows a few answers.
answers() {
  local ask="for i in {1..8}; do curl -s $site; done | sort -u" expected
  expected=$(printf '%s\n' "$@")
  for _ in {1..200}; do
    [[ $(eval "$ask") == "$expected" ]] && run "$ask" && return
    sleep 0.05
  done
  echo "tour.sh: requests do not reach: $*" >&2
  exit 1
}

# configure NAME ADDRESS: configures a service that answers with its name, here a small nginx.
configure() {
  mkdir "$1"
  local kind temporary=
  for kind in client_body proxy fastcgi uwsgi scgi; do temporary+="${kind}_temp_path temp; "; done
  cat >"$1/service.conf" <<EOF
daemon off; master_process off; pid service.pid; error_log stderr; events {}
http { access_log off; $temporary server { listen $2; return 200 "$1\n"; } }
EOF
}

# register NAME ADDRESS: starts a service that registers itself.
register() {
  configure "$1" "$2"
  echo "\$ confd register -name app -id $1 -port ${2#*:} etcd://… -- nginx … &"
  start confd register -name app -id "$1" -address 127.0.0.1 -port "${2#*:}" "etcd://${ETCD#http://}/services" -- \
    nginx -p "$1" -c service.conf -e stderr 2>>services.log
}

title "The container starts while etcd is down: it waits"
echo "\$ etcd-nginx/entrypoint.sh &"
RUN_DIR=run LISTEN=127.0.0.1:$port start "$examples/etcd-nginx/entrypoint.sh" >"$log" 2>&1
container=$!
await "ERROR cannot reach etcd"

title "etcd is up: confd writes the first configuration, nginx starts, and confd reloads it"
echo "\$ etcd &"
start etcd --data-dir etcd --log-level warn --heartbeat-interval 20 --election-timeout 200 \
  --listen-client-urls "$ETCD" --advertise-client-urls "$ETCD" \
  --listen-peer-urls "http://127.0.0.1:$((port + 5))" \
  --initial-advertise-peer-urls "http://127.0.0.1:$((port + 5))" \
  --initial-cluster "default=http://127.0.0.1:$((port + 5))" >etcd.log 2>&1
await "WARNING nginx.conf is in place but its reload is pending"
await "INFO nginx.conf has been reloaded"
until curl -s "$site" >page; do sleep 0.05; done
run "curl -s $site"

title "Two services register themselves: requests reach both"
register one "127.0.0.1:$((port + 1))"
register two "127.0.0.1:$((port + 2))"
two=${started[-1]}
answers one two

title "A broken value: nginx rejects the new file, and keeps the old one"
await_end
run "etcdctl put /services/app/three 'no address'"
await "ERROR \""
await "ERROR Config check failed"
answers one two

title "The value is corrected: requests reach the service a moment later"
configure three "127.0.0.1:$((port + 3))"
start nginx -p three -c service.conf -e stderr
before=$(date +%s%3N)
run "etcdctl put /services/app/three 127.0.0.1:$((port + 3))"
until [[ $(curl -s "$site") == three ]]; do :; done
echo "(three answers after $(($(date +%s%3N) - before)) ms)"
answers one three two

title "A reload fails, because the PID file is gone: confd tries again until it succeeds"
await_end
run "mv run/nginx.pid hidden"
run "etcdctl del /services/app/three"
await "WARNING nginx.conf is in place but its reload is pending"
run "mv hidden run/nginx.pid"
await "INFO nginx.conf has been reloaded"
answers one two

title "A service and its script are killed: requests reach the other service, and the lease expires"
await_end
echo "\$ kill -KILL …"
{ kill -KILL -- "-$two" && wait "$two"; kill_services two/service.pid; } 2>/dev/null || true
run "for i in {1..8}; do curl -s $site; done | sort -u"
await "INFO Target config nginx.conf has been updated"
run "grep -c 'server 127' run/nginx.conf"

title "The container is stopped: confd and nginx end"
echo "\$ kill -TERM …"
kill -TERM "$container"
await "INFO Captured terminated"
code=0
wait "$container" || code=$?
echo "(exit code $code)"
