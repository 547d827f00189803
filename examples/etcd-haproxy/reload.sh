#!/usr/bin/env bash
# Has HAProxy load its configuration anew, and waits until it has: until there is a new worker.
#
# HAProxy drops a signal that comes while it starts or reloads, so that a change right behind
# another one could be lost. Here the signal is repeated, and in the end it is a failure, which
# confd tries again.
set -euo pipefail

master=$(<haproxy.pid)

newest_worker() {
  local workers
  read -ra workers -d '' <"/proc/$master/task/$master/children" || true
  echo "${workers[-1]:?HAProxy has no worker}"
}

# Without a worker HAProxy is still starting, perhaps from the file as it was before.
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
