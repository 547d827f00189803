#!/usr/bin/env bash
# Makes HAProxy load its configuration again, and waits until it has a new worker.
#
# HAProxy ignores a signal that comes while it starts or reloads, so a change shortly after another
# change could be lost. This script therefore repeats the signal. If no worker appears it fails, and
# confd tries the reload again.
set -euo pipefail

master=$(<haproxy.pid)

newest_worker() {
  local workers
  read -ra workers -d '' <"/proc/$master/task/$master/children" || true
  echo "${workers[-1]:?HAProxy has no worker}"
}

# Without a worker HAProxy is still starting, perhaps with the previous file.
before=$(newest_worker)
for _ in {1..5}; do
  kill -USR2 "$master"
  for _ in {1..5}; do
    sleep 0.1
    [[ $(newest_worker) == "$before" ]] || exit 0
  done
done
echo "HAProxy has started no new worker" >&2
exit 1
