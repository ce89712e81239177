//! A blocked log: its reader has stopped reading, or the disk is full. Requests are still answered, by
//! the app and by nginx.

use std::{
    fs::File,
    io::{BufRead, BufReader, PipeReader, pipe},
    net::{SocketAddr, TcpListener},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use harness::{
    Stack,
    solo::{Running, app_command, wait_for},
    wire,
};
use rustix::fs::{OFlags, fcntl_setfl};

/// Requests whose lines are twice the pipe (64 KiB) and the buffer in memory.
const ENOUGH: usize = 400;
/// With a target of this length.
const LONG: usize = 10_000;

/// Starts an app with this standard error; returns it and its address.
fn app(log: impl Into<Stdio>) -> (Running, SocketAddr) {
    // Its log can't be read for the port that it chose.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut command = app_command(&[("BIND", &address.to_string()), ("DRAIN_SECONDS", "0")]);
    let running = Running::start(command.stderr(log));
    wait_for(|| std::net::TcpStream::connect(address).ok());
    (running, address)
}

fn ask(address: SocketAddr, requests: usize) {
    let path = format!("/robots.txt?{}", "a".repeat(LONG));
    for _ in 0..requests {
        assert_eq!(wire::get(address, &path, "localhost").status, 200);
    }
}

/// Reads the pipe until all writers have closed it.
fn lines(reader: PipeReader) -> Vec<String> {
    let lines = BufReader::new(reader).lines();
    lines
        .map(|line| line.expect("whole lines of UTF-8"))
        .collect()
}

fn requests_are_answered_while_the_log_is_not_read() {
    let (reader, writer) = pipe().unwrap();
    let (mut app, address) = app(writer);
    ask(address, ENOUGH);
    // Once the log is read again, it tells the number of lost lines and continues.
    let read = std::thread::spawn(|| lines(reader));
    std::thread::sleep(Duration::from_millis(500));
    ask(address, 1);
    app.signal("TERM");
    assert!(app.ended().success());
    let lines = read.join().unwrap();
    let written = lines
        .iter()
        .filter(|line| line.contains("berth::access"))
        .count();
    let told = lines.iter().filter_map(|line| {
        let (before, _) = line.split_once(" lines of the log could not be written")?;
        before.split(' ').next_back()?.parse::<usize>().ok()
    });
    assert!(
        written < ENOUGH,
        "no line was lost, so the log was not blocked"
    );
    assert_eq!(told.sum::<usize>(), ENOUGH + 1 - written);
    assert!(
        lines.last().unwrap().contains("stopped"),
        "{:?}",
        lines.last()
    );
}

fn nothing_is_lost_while_there_is_room_in_memory() {
    let (reader, writer) = pipe().unwrap();
    // Non-blocking, as another process that shares standard error may set it.
    fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    let (mut app, address) = app(writer);
    // Ten times the pipe's capacity.
    ask(address, 64);
    let read = std::thread::spawn(|| lines(reader));
    app.signal("TERM");
    assert!(app.ended().success());
    let lines = read.join().unwrap();
    let whole = |line: &&String| line.contains(&"a".repeat(LONG)) && line.contains("status=200");
    assert_eq!(lines.iter().filter(whole).count(), 64);
}

fn an_unread_log_does_not_keep_the_process_from_ending() {
    let (reader, writer) = pipe().unwrap();
    let (mut app, address) = app(writer);
    ask(address, ENOUGH);
    let start = Instant::now();
    app.signal("TERM");
    assert!(app.ended().success());
    // The drain, and a short time for the log.
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    drop(reader);
}

fn requests_are_answered_while_the_disk_is_full() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (mut app, address) = app(full);
    ask(address, 50);
    app.signal("TERM");
    assert!(app.ended().success());
}

fn requests_are_answered_when_the_reader_of_the_log_is_gone() {
    let (reader, writer) = pipe().unwrap();
    let (mut app, address) = app(writer);
    drop(reader);
    ask(address, 50);
    app.signal("TERM");
    assert!(app.ended().success());
}

fn nginx_answers_while_a_terminal_that_is_attached_to_it_takes_nothing() {
    let stack = Stack::start(&[("REPLICAS", "1")]);
    let mut attach = Command::new("docker");
    attach
        .args(["attach", "--no-stdin", "--sig-proxy=false"])
        .arg(&stack.containers("nginx")[0]);
    let terminal = Running::start(attach.stdout(Stdio::piped()).stderr(Stdio::null()));
    // The engine keeps up to a megabyte for it, and the sockets on the way some more.
    ask(stack.address, 2 * ENOUGH);
    drop(terminal);
    ask(stack.address, 1);
    wait_for(|| {
        let log = stack.log("nginx");
        let told = |line: &String| line.contains("lines of the log could not be written");
        log.iter().any(told).then_some(())
    });
}

harness::trials![
    requests_are_answered_while_the_log_is_not_read,
    nothing_is_lost_while_there_is_room_in_memory,
    an_unread_log_does_not_keep_the_process_from_ending,
    requests_are_answered_while_the_disk_is_full,
    requests_are_answered_when_the_reader_of_the_log_is_gone,
    nginx_answers_while_a_terminal_that_is_attached_to_it_takes_nothing,
];
