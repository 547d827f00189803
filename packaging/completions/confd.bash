# Completions of confd for bash. They are made from the program's tables of options and commands.

# Proposes the names of the resources in the folder that -confdir or CONFD_CONFDIR names.
_confd_resources() {
  local nth name confdir=${CONFD_CONFDIR:-/etc/confd}
  for ((nth = 1; nth < ${#COMP_WORDS[@]} - 1; nth++)); do
    if [[ ${COMP_WORDS[nth]} == -confdir || ${COMP_WORDS[nth]} == --confdir ]]; then
      confdir=${COMP_WORDS[nth + 1]}
      [[ $confdir == = ]] && confdir=${COMP_WORDS[nth + 2]}
    fi
  done
  while IFS= read -r name; do
    [[ $name == "$current"* ]] && COMPREPLY+=("$name")
  done < <(
    cd -- "$confdir/conf.d" >/dev/null 2>&1 || exit
    shopt -s globstar nullglob
    for file in **/*.toml; do printf '%s\n' "${file%.toml}"; done
  )
}

# Proposes files (-f) or folders (-d).
_confd_paths() {
  mapfile -t COMPREPLY < <(compgen "$1" -- "$current")
  compopt -o filenames 2>/dev/null
}

# Proposes the words of $1 that begin with the word that is written.
_confd_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$current")
}

_confd() {
  local current=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]} own=
  COMPREPLY=()
  if [[ $current == = ]]; then
    current=
  elif [[ $flag == = ]]; then
    flag=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  # The program behind --.
  if [[ " ${COMP_WORDS[*]:0:COMP_CWORD} " == *" -- "* ]]; then
    mapfile -t COMPREPLY < <(compgen -c -f -- "$current")
    return
  fi
  # The other programs of the binary have flags of their own.
  if ((COMP_CWORD > 1)); then
    case ${COMP_WORDS[1]} in
      consul-template | registrator | register) _confd_paths -f; return ;;
    esac
  fi
  case ${COMP_WORDS[1]} in
    check) own='-format -strict' ;;
    explain) own='-data -dest -item' ;;
    history) own='-json' ;;
    plan) own='-set -delete -from -data' ;;
    render) own='-data -dest -item' ;;
    rollback) own='-to' ;;
    schema) own='-for' ;;
    status) own='-json' ;;
    test) own='-junit -update' ;;
  esac
  if [[ $flag == -* ]]; then
    case ${COMP_WORDS[1]}:${flag/#--/-} in
      check:-format) _confd_words 'text json sarif'; return ;;
      explain:-data) _confd_paths -f; return ;;
      explain:-dest) _confd_paths -f; return ;;
      explain:-item) return ;;
      plan:-set) return ;;
      plan:-delete) return ;;
      plan:-from) _confd_paths -f; return ;;
      plan:-data) _confd_paths -f; return ;;
      render:-data) _confd_paths -f; return ;;
      render:-dest) _confd_paths -f; return ;;
      render:-item) return ;;
      rollback:-to) return ;;
      schema:-for) _confd_words 'resource confd.toml'; return ;;
      test:-junit) _confd_paths -f; return ;;
    esac
    case ${flag/#--/-} in
      -auth-type) _confd_words 'token app-role app-id github userpass ldap kubernetes jwt cert'; return ;;
      -backend) _confd_words 'acm consul dynamodb env etcd etcdv2 etcdv3 file imds redis secretsmanager ssm vault zookeeper'; return ;;
      -client-ca-keys) _confd_paths -f; return ;;
      -client-cert) _confd_paths -f; return ;;
      -client-key) _confd_paths -f; return ;;
      -color) _confd_words 'auto always never'; return ;;
      -confdir) _confd_paths -d; return ;;
      -config-file) _confd_paths -f; return ;;
      -config-precedence) _confd_words 'flags file'; return ;;
      -consistency) _confd_words 'default consistent stale'; return ;;
      -control-socket) _confd_paths -f; return ;;
      -failure-mode) _confd_words 'best-effort fail-fast'; return ;;
      -file) _confd_paths -f; return ;;
      -jwt-file) _confd_paths -f; return ;;
      -log-format) _confd_words 'text logfmt json'; return ;;
      -log-level) _confd_words 'panic fatal error warning info debug trace'; return ;;
      -mock-data) _confd_paths -f; return ;;
      -prefix-mode) _confd_words 'replace join'; return ;;
      -reload-signal) _confd_words 'SIGHUP SIGINT SIGQUIT SIGTERM SIGUSR1 SIGUSR2'; return ;;
      -resource) _confd_paths -f; return ;;
      -restart) _confd_words 'never on-failure always'; return ;;
      -scheme) _confd_words 'http https'; return ;;
      -state-dir) _confd_paths -d; return ;;
      -vault-role-id-file) _confd_paths -f; return ;;
      -vault-secret-id-file) _confd_paths -f; return ;;
      -vault-token-file) _confd_paths -f; return ;;
      -app-id | \
        -auth-token | \
        -backend-timeout | \
        -batch-interval | \
        -check-cmd-timeout | \
        -datacenter | \
        -debounce | \
        -dial-timeout | \
        -diff-context | \
        -filter | \
        -imds-cache-ttl | \
        -interval | \
        -mask | \
        -max-memory | \
        -max-stale | \
        -metrics-addr | \
        -namespace | \
        -node | \
        -partition | \
        -password | \
        -path | \
        -poll-interval | \
        -prefix | \
        -preflight-timeout | \
        -read-timeout | \
        -reconcile | \
        -reload-cmd-timeout | \
        -render-timeout | \
        -retry-base-delay | \
        -retry-delay | \
        -retry-factor | \
        -retry-max-attempts | \
        -retry-max-delay | \
        -role-id | \
        -secret-id | \
        -secretsmanager-version-stage | \
        -sentinel-master | \
        -separator | \
        -session-timeout | \
        -shutdown-timeout | \
        -splay | \
        -srv-domain | \
        -srv-record | \
        -stat-cache-ttl | \
        -table | \
        -tls-server-name | \
        -user-id | \
        -username | \
        -vault-namespace | \
        -wait | \
        -watch-error-backoff | \
        -watchdog-interval | \
        -write-timeout) return ;;
    esac
  fi
  if [[ $current != -* ]]; then
    if ((COMP_CWORD == 1)); then
      _confd_words 'check explain history plan release reload render rollback run schema status test consul-template registrator register acm consul dynamodb env etcd etcdv2 etcdv3 file imds redis secretsmanager ssm vault zookeeper'
      return
    fi
    case ${COMP_WORDS[1]} in
      explain) _confd_resources ;;
      history) _confd_resources ;;
      plan) _confd_resources ;;
      release) _confd_resources ;;
      render) _confd_resources ;;
      rollback) _confd_resources ;;
      run) _confd_resources ;;
      test) _confd_paths -d; return ;;
    esac
    return
  fi
  local flags=(
    -h
    -acm-export-private-key
    -app-id
    -auth-token
    -auth-type
    -backend
    -backend-timeout
    -basic-auth
    -batch-interval
    -check-cmd-timeout
    -check-config
    -client-ca-keys
    -client-cert
    -client-insecure
    -client-key
    -color
    -confdir
    -config-file
    -config-precedence
    -consistency
    -control-socket
    -datacenter
    -debounce
    -detailed-exitcode
    -dial-timeout
    -diff
    -diff-context
    -exit-codes
    -failure-mode
    -file
    -filter
    -force
    -imds-cache-ttl
    -interval
    -jwt-file
    -keep-stage-file
    -log-format
    -log-level
    -mask
    -max-memory
    -max-stale
    -metrics-addr
    -mock-data
    -namespace
    -no-template-cache
    -node
    -noop
    -onetime
    -partition
    -password
    -path
    -poll-interval
    -prefix
    -prefix-mode
    -preflight
    -preflight-timeout
    -read-timeout
    -reconcile
    -reload-cmd-timeout
    -reload-signal
    -render-timeout
    -resource
    -restart
    -retry-base-delay
    -retry-delay
    -retry-factor
    -retry-max-attempts
    -retry-max-delay
    -role-id
    -scheme
    -secret-id
    -secretsmanager-no-flatten
    -secretsmanager-version-stage
    -sentinel-master
    -separator
    -session-timeout
    -show-values
    -shutdown-timeout
    -splay
    -srv-domain
    -srv-record
    -stat-cache-ttl
    -state-dir
    -sync-only
    -systemd-notify
    -table
    -template-cache
    -tls-server-name
    -user-id
    -username
    -validate
    -vault-namespace
    -vault-role-id-file
    -vault-secret-id-file
    -vault-token-file
    -version
    -wait
    -watch
    -watch-error-backoff
    -watchdog-interval
    -write-timeout
  )
  local all=" $own ${flags[*]}"
  [[ $current == --* ]] && all=${all// -/ --}
  _confd_words "$all"
}

complete -F _confd confd
