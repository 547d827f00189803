#!/bin/sh
# Starts nginx, with confd beside it.
#
# nginx is the first process of the container: it gets the signals, and the container lives as long as it does.
# A confd that ends is started again, and nginx works on meanwhile.
set -eu
conf=/etc/nginx/balancer.conf

# nginx starts with the services of now. If the store is away, those of the last time are better than nothing.
until STARTING=yes confd -onetime || [ -s "$conf" ]; do sleep 1; done

while :; do
  confd -watch || true
  sleep 1
done &
exec nginx -c "$conf" -g 'daemon off;'
