#!/bin/sh
# Starts the service. At SIGTERM its health check fails first, so that the balancers take it out while it still
# answers. DRAIN seconds later it finishes its last requests and ends.
set -eu
rm -f /tmp/stopping
nginx -g 'daemon off;' &
nginx=$!
trap 'touch /tmp/stopping; sleep "${DRAIN:-4}"; kill -QUIT "$nginx"' TERM INT
# The first `wait` ends with the signal, the second one with nginx.
wait "$nginx" || wait "$nginx"
