//! What the tests share: HTTP on the wire, the app alone, and nginx with replicas.
