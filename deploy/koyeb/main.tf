# Berth on Koyeb. README.md, beside this file, has the commands; `make check PLATFORM=koyeb` checks it.

terraform {
  required_providers {
    # KOYEB_TOKEN has the credentials.
    koyeb = {
      source  = "koyeb/koyeb"
      version = "0.1.11"
    }
  }
}

resource "koyeb_app" "berth" {
  # The address begins with it.
  name = "berth-example"
}

resource "koyeb_service" "berth" {
  app_name = koyeb_app.berth.name

  definition {
    name = "berth"
    # Where the instances are: Frankfurt.
    regions = ["fra"]

    instance_types {
      # The smallest that does not sleep: a quarter of a processor, 256 MB.
      type = "nano"
    }

    scalings {
      min = 1
      max = 1
    }

    docker {
      # The image that `make push` has pushed.
      image = "registry.example.com/berth:0.1.0"
    }

    ports {
      # The port that Koyeb connects to, and sets as PORT.
      port     = 8080
      protocol = "http"
    }

    routes {
      # All paths. Koyeb would remove a longer one before the app gets the request.
      path = "/"
      port = 8080
    }

    health_checks {
      http {
        # An instance that does not answer here gets no requests; nor does a new release.
        path = "/health/ready"
        port = 8080
      }
      # For a start, in seconds as all of these; Berth takes far less.
      grace_period = 10
      # The provider sends 0 for each that is left out.
      interval      = 10
      timeout       = 2
      restart_limit = 3
    }

    env {
      # Koyeb's proxy connects from a private address.
      key   = "TRUSTED_PROXIES"
      value = "private"
    }

    env {
      # Koyeb documents no id; one that arrives is the client's.
      key   = "REQUEST_ID_HEADER"
      value = "none"
    }

    env {
      # One JSON object a line, for `koyeb services logs` and log collectors.
      key   = "LOG_FORMAT"
      value = "json"
    }
  }
}
