# Berth on Scaleway Serverless Containers. README.md, beside this file, has the commands; `make check PLATFORM=scaleway`
# checks it.

terraform {
  required_providers {
    scaleway = {
      source = "scaleway/scaleway"
      # `image` and `liveness_probe` are of version 1 of Scaleway's API, which older providers don't know.
      version = "~> 2.79"
    }
  }
}

# The credentials come from SCW_ACCESS_KEY, SCW_SECRET_KEY and SCW_DEFAULT_PROJECT_ID.
provider "scaleway" {
  # Where the containers are; it is in the address and in ALLOWED_HOSTS, too.
  region = "fr-par"
}

resource "scaleway_container_namespace" "berth" {
  # The address begins with it.
  name = "berth-example"
}

resource "scaleway_container" "berth" {
  name         = "berth-example"
  namespace_id = scaleway_container_namespace.berth.id

  # The image that `make push` has pushed.
  image = "rg.fr-par.scw.cloud/example-berth/berth:0.1.0"
  # The port that Scaleway connects to, and sets as PORT.
  port = 8080
  # HTTP/1.1 to the app.
  protocol = "http1"
  # Answers plain HTTP with a redirect, so the app gets requests over HTTPS only.
  https_connections_only = true

  # Both depend on each other: half of this is the smallest size.
  memory_limit_bytes = 256000000
  cpu_limit          = 140

  # With 0 the first request waits for a start.
  min_scale = 1
  max_scale = 4

  environment_variables = {
    # No variable contains the name; the proxy sends the container only requests for its own name below this domain.
    ALLOWED_HOSTS = ".functions.fnc.fr-par.scw.cloud"
    # Scaleway's proxy connects from a private address.
    TRUSTED_PROXIES = "private"
    # One JSON object a line, for Cockpit.
    LOG_FORMAT = "json"
  }

  # An instance that fails this three times is started again.
  liveness_probe {
    http {
      path = "/health/live"
    }
    failure_threshold = 3
    interval          = "10s"
    timeout           = "2s"
  }
}

# The address, for `terraform output url`.
output "url" {
  value = scaleway_container.berth.public_endpoint
}
