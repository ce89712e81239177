//! The app without file descriptors: no client is left waiting, and it recovers once some are free again.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    process::Command,
    thread,
    time::Duration,
};

use harness::{Solo, solo::wait_for, stack::run, wire};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn limit(app: &Solo, files: u32) {
    let pid = app.id().to_string();
    run(Command::new("prlimit")
        .args(["--pid", &pid])
        .arg(format!("--nofile={files}:")));
}

fn whoever_cannot_be_accepted_is_hung_up_on() {
    let app = Solo::start(&[]);
    // Its threads need some as they start.
    thread::sleep(Duration::from_millis(500));
    limit(&app, 20);
    let open = || {
        let mut socket = TcpStream::connect(app.address).unwrap();
        socket.write_all(REQUEST).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        socket
    };
    let mut sockets: Vec<_> = (0..40).map(|_| open()).collect();
    let (mut answered, mut closed) = (0, 0);
    for socket in &mut sockets {
        match socket.read(&mut [0; 4096]) {
            Ok(length) if length > 0 => answered += 1,
            Ok(_) => closed += 1,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => closed += 1,
            Err(error) => panic!("{error}, after {answered} answers and {closed} closed"),
        }
    }
    assert!(closed > 0, "there were enough descriptors for all clients");
    app.log_line(|line| line.contains("no file descriptors left"));
    limit(&app, 1000);
    wait_for(|| {
        let mut socket = open();
        socket
            .read(&mut [0; 4096])
            .is_ok_and(|length| length > 0)
            .then_some(())
    });
    drop(sockets);
    assert_eq!(wire::get(app.address, "/", "localhost").status, 200);
}

harness::trials![whoever_cannot_be_accepted_is_hung_up_on,];
