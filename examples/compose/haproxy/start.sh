#!/bin/sh
# Starts HAProxy, with confd and keepalived beside it. The container lives as long as HAProxy does, and the address
# goes with it. A confd or a keepalived that ends is started again.
set -eu
haproxy=/run/haproxy.pid keepalived=/run/keepalived.pid
# In a file of a killed container, the number belongs to another process by now.
rm -f /run/*.pid

# HAProxy starts with the services of now. If the store is away, those of the last time are better than nothing.
until STARTING=yes confd -onetime || { [ -s /etc/haproxy.cfg ] && [ -s /etc/keepalived.conf ]; }; do sleep 1; done

# Runs a command again and again.
again() {
  while :; do
    "$@" || true
    sleep 1
  done
}
again confd -watch &
haproxy -W -db -p "$haproxy" -f /etc/haproxy.cfg &
balancer=$!
again keepalived -n -l -p "$keepalived" -r /run/vrrp.pid -f /etc/keepalived.conf &
address=$!

# First the address goes to the other one of the pair, then HAProxy finishes its requests.
stop() {
  kill "$address"
  kill "$(cat "$keepalived")" || true
  sleep 1
  # HAProxy drops a signal that comes while it starts or reloads.
  while kill -USR1 "$balancer"; do sleep 0.2; done 2>/dev/null
}
trap stop TERM INT
# The first `wait` ends with the signal, the second one with HAProxy.
wait "$balancer" || wait "$balancer"
