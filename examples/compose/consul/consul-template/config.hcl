consul {
  address = "consul:8500"
}

template {
  source      = "/etc/consul-template/nginx.conf.tmpl"
  destination = "/etc/nginx/balancer.conf"
  check       = "nginx -t -q -c {{.src}}"
}

# nginx starts with the first file, and loads each further one.
exec {
  command       = ["nginx", "-c", "/etc/nginx/balancer.conf", "-g", "daemon off;"]
  reload_signal = "SIGHUP"
  kill_signal   = "SIGQUIT"
  kill_timeout  = "15s"
}
