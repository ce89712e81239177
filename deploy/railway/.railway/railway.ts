// Berth on Railway. README.md, in the folder above, has the commands; `make check PLATFORM=railway` checks it.
// Literals only: that check reads the file without running it.

import { defineRailway, image, project, service } from "railway/iac";

export default defineRailway(() => {
  const berth = service("berth", {
    // The image that `make push` has pushed.
    source: image("registry.example.com/berth:0.1.0"),
    // A new deployment gets no requests before this answers 200. Railway asks at deployments only.
    healthcheck: "/health/ready",
    env: {
      // The port of `railway domain --port`; Railway's own choice may change.
      PORT: "8080",
      // Railway's proxy connects from a shared address, 100.64.0.0/10.
      TRUSTED_PROXIES: "private",
      // Railway promises the client's address in this header alone.
      CLIENT_HEADER: "X-Real-IP",
      // Railway's id for the request, as in its own logs.
      REQUEST_ID_HEADER: "X-Railway-Request-Id",
      // One JSON object a line, which Railway's log search parses.
      LOG_FORMAT: "json",
      // Railway's default is 0: SIGKILL right after SIGTERM. The app takes 7.5 s (DRAIN_SECONDS and SHUTDOWN_SECONDS).
      RAILWAY_DEPLOYMENT_DRAINING_SECONDS: "30",
      // Seconds that the old deployment serves on, until every edge knows the new one. By default 0.
      RAILWAY_DEPLOYMENT_OVERLAP_SECONDS: "10",
    },
  });

  // The project's name in the dashboard.
  return project("berth-example", { resources: [berth] });
});
