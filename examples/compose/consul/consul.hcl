# Of all Consuls: the three servers and the agent.
data_dir             = "/consul/data"
client_addr          = "0.0.0.0"
retry_join           = ["consul1", "consul2", "consul3"]
retry_interval       = "1s"
disable_update_check = true
# A stopped agent keeps its services: it comes back.
leave_on_terminate = false
# A new leader is found in seconds.
performance {
  raft_multiplier = 1
}
