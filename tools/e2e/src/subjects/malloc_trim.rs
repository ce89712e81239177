//! The app returns the memory of a load to the system.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

use harness::{Solo, solo::wait_for};

const CONNECTIONS: usize = 500;
/// Bytes that each of them takes at least; with less, the test would be meaningless.
const EACH: usize = 8 << 10;

/// Bytes of memory of its own, and of no file (proc_pid_status(5)).
fn taken(app: &Solo) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", app.id())).unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix("RssAnon:"));
    let kilobytes = line.expect("Linux says").trim().strip_suffix(" kB");
    kilobytes.unwrap().parse::<usize>().unwrap() << 10
}

fn what_connections_took_is_given_back() {
    let app = Solo::start(&[("WEB_CONCURRENCY", "1")]);
    let connect = |_| {
        let mut socket = TcpStream::connect(app.address).unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
        socket.write_all(request).unwrap();
        assert!(socket.read(&mut [0; 4096]).unwrap() > 0, "an answer");
        socket
    };
    drop(connect(0));
    let before = taken(&app);
    let sockets: Vec<_> = (0..CONNECTIONS).map(connect).collect();
    let more = taken(&app) - before;
    assert!(more > CONNECTIONS * EACH, "{more} bytes are too few");
    drop(sockets);
    wait_for(|| (taken(&app) < before + more / 4).then_some(()));
}

harness::trials![what_connections_took_is_given_back,];
