# Berth on Nomad, with its Docker driver. README.md, beside this file, has the commands; `make check PLATFORM=nomad`
# looks it over.

job "berth-example" {
  # Runs until it is stopped.
  type = "service"

  update {
    # One new replica beside the old ones; the others are replaced when it is healthy.
    canary       = 1
    auto_promote = true
    max_parallel = 1
    # A release that does not get healthy is taken back.
    auto_revert  = true
    health_check = "checks"
    # So long a replica has to pass its checks, and so much time it has to get there.
    min_healthy_time  = "5s"
    healthy_deadline  = "1m"
    progress_deadline = "5m"
  }

  group "app" {
    # Two is the least that can be replaced one by one.
    count = 2

    # Traefik asks Nomad every 15 s for what has changed: serve until it has noticed, and only then get the signal.
    shutdown_delay = "20s"

    network {
      port "http" {
        # Inside the container; outside, Nomad chooses one.
        to = 8080
      }
    }

    service {
      name = "berth-example"
      port = "http"
      # Nomad's own service discovery: no Consul is needed.
      provider = "nomad"

      # Nomad has no router. These are for Traefik with its Nomad provider.
      tags = [
        "traefik.enable=true",
        "traefik.http.routers.berth-example.rule=Host(`clock.example.com`)",
        "traefik.http.routers.berth-example.tls=true",
      ]

      # Until it is healthy, the new one gets no requests: Nomad lists it, healthy or not.
      canary_tags = ["traefik.enable=false"]

      # Whether a new replica is healthy.
      check {
        name     = "ready"
        type     = "http"
        path     = "/health/ready"
        interval = "5s"
        timeout  = "2s"
      }

      check {
        name     = "live"
        type     = "http"
        path     = "/health/live"
        interval = "10s"
        timeout  = "2s"

        # A replica that fails this three times is started again.
        check_restart {
          limit = 3
          grace = "10s"
        }
      }
    }

    task "berth" {
      driver = "docker"

      # The default of other drivers is SIGINT.
      kill_signal = "SIGTERM"
      # Its default of 5 s is less than the app takes to drain (DRAIN_SECONDS and SHUTDOWN_SECONDS, 7.5 s). More than
      # 30 s need max_kill_timeout in the agent's configuration.
      kill_timeout = "30s"

      config {
        # What `make push` has pushed.
        image = "registry.example.com/berth:0.1.0"
        ports = ["http"]
        # The app writes nothing, and needs no rights.
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]
      }

      env {
        # Nomad sets no PORT. The same number as `to`, above.
        PORT = "8080"
        # Nomad knows no public name: yours.
        ALLOWED_HOSTS = "clock.example.com"
        # Traefik comes from an address of the cluster.
        TRUSTED_PROXIES = "private"
        # Traefik gives no id, and passes on one that the client chose.
        REQUEST_ID_HEADER = "none"
        # One JSON object a line, for `nomad alloc logs` and what reads it.
        LOG_FORMAT = "json"
      }

      resources {
        # MHz: a share, and not a limit.
        cpu = 200
        # MB: a limit.
        memory = 256
      }
    }
  }
}
