#!/bin/sh
# Makes HAProxy load its file, and waits until it has a new worker.
#
# HAProxy drops a signal that comes while it starts or loads a file, so this script repeats the signal. If no worker
# appears it fails, and confd tries the reload again.
set -eu
master=$(cat /run/haproxy.pid)

# Fails without a worker: then HAProxy still starts, perhaps with the file before.
newest_worker() {
  worker=
  for worker in $(cat "/proc/$master/task/$master/children"); do :; done
  [ -n "$worker" ] && echo "$worker"
}

before=$(newest_worker)
for _ in 1 2 3 4 5; do
  kill -USR2 "$master"
  for _ in 1 2 3 4 5; do
    sleep 0.1
    [ "$(newest_worker)" = "$before" ] || exit 0
  done
done
echo "HAProxy has started no new worker" >&2
exit 1
