//! More requests than a server takes at once.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use crate::wire;

/// Between two probes.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs clients that send each request right after an answer. Returns the numbers of 200s and of 503s.
pub fn overload(address: SocketAddr, path: &str, clients: usize) -> (usize, usize) {
    let end = Instant::now() + Duration::from_secs(3);
    let client = || {
        let (mut served, mut shed) = (0, 0);
        while Instant::now() < end {
            let reply = wire::get(address, path, "localhost");
            match reply.status {
                200 => served += 1,
                503 => {
                    assert_eq!(reply.header("retry-after"), Some("1"));
                    assert_eq!(reply.text(), "503 Service Unavailable");
                    let kind = reply.header("content-type");
                    assert_eq!(kind, Some("text/plain; charset=utf-8"));
                    assert!(reply.header("x-request-id").is_some());
                    shed += 1;
                }
                other => panic!("{other}: {reply:?}"),
            }
        }
        (served, shed)
    };
    thread::scope(|scope| {
        let probe = scope.spawn(|| {
            while Instant::now() < end {
                let health = wire::get(address, "/health/ready", "localhost");
                assert_eq!(health.status, 200, "health under load");
                thread::sleep(PAUSE);
            }
        });
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        let counts = clients.into_iter().map(|it| it.join().unwrap());
        let sums = counts.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        probe.join().expect("health answers");
        sums
    })
}
