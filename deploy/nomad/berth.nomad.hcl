# Berth on Nomad, with its Docker driver. README.md, beside this file, has the commands; `make check PLATFORM=nomad`
# checks it.

job "berth-example" {
  # Runs until it is stopped.
  type = "service"

  update {
    # One new replica beside the old ones; the others are replaced when it is healthy.
    canary       = 1
    auto_promote = true
    max_parallel = 1
    # Nomad reverts a release that does not become healthy.
    auto_revert  = true
    health_check = "checks"
    # How long a replica must pass its checks, and the time that it has to start.
    min_healthy_time  = "5s"
    healthy_deadline  = "1m"
    progress_deadline = "5m"
  }

  group "app" {
    # At least two, so that one serves while the other is replaced.
    count = 2

    # Traefik queries Nomad every 15 s. The signal waits until Traefik has noticed.
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

      # Nomad has no router. These tags are for Traefik with its Nomad provider.
      tags = [
        "traefik.enable=true",
        "traefik.http.routers.berth-example.rule=Host(`clock.example.com`)",
        "traefik.http.routers.berth-example.tls=true",
      ]

      # The new replica gets no requests until it is healthy: Nomad lists it either way.
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
        # The image that `make push` has pushed.
        image = "registry.example.com/berth:0.1.0"
        ports = ["http"]
        # The app writes no files and needs no capabilities.
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]
      }

      env {
        # Nomad sets no PORT. The same number as `to`, above.
        PORT = "8080"
        # Your domain: Nomad has no public name for the job.
        ALLOWED_HOSTS = "clock.example.com"
        # Traefik connects from an address of the cluster.
        TRUSTED_PROXIES = "private"
        # Traefik adds no id, and passes a client's own on.
        REQUEST_ID_HEADER = "none"
        # One JSON object a line, for `nomad alloc logs` and log collectors.
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
