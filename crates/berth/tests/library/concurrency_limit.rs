//! Load shedding: excess requests get 503 at once, and every connection is served.

use std::{
    io::Write,
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use actix_web::{HttpResponse, rt::time::sleep, web};
use harness::{
    overload::overload,
    solo::wait_for,
    stall::{TOLERANCE, judge},
    wire,
};

use crate::service::{Values, serve};

const PAUSE: Duration = Duration::from_millis(500);

#[test]
fn the_app_alone_sheds_what_is_too_much() {
    // A slow handler: the sample service answers before a second request can arrive.
    let values = Values {
        max_requests: 4,
        ..Values::default()
    };
    let address = serve(values, |app| {
        app.route("/slow", web::get().to(slow));
    });
    judge(TOLERANCE, || {
        let (served, shed) = overload(address, "/slow", 64);
        assert!(served > 0 && shed > 0, "{served} served, {shed} shed");
    });
    for _ in 0..20 {
        assert_eq!(wire::get(address, "/slow", "localhost").status, 200);
    }
}

async fn slow() -> HttpResponse {
    sleep(PAUSE / 10).await;
    HttpResponse::Ok().finish()
}

/// The step of the test below: the handlers and the client wait for each other.
static STEP: AtomicUsize = AtomicUsize::new(0);
/// Requests that one client sends at once.
const MANY: usize = 1000;
static ANSWERED: AtomicUsize = AtomicUsize::new(0);

fn reached(number: usize) {
    wait_for(|| (STEP.load(Ordering::SeqCst) >= number).then_some(()));
}

/// Completes this step of the test, and waits until another thread completes the next.
fn step(number: usize) {
    STEP.store(number, Ordering::SeqCst);
    reached(number + 1);
}

#[test]
fn many_requests_at_once_leave_others_their_turn() {
    let values = Values {
        workers: 1,
        ..Values::default()
    };
    let address = serve(values, |app| {
        let held = || async {
            step(1);
            HttpResponse::Ok().finish()
        };
        let many = || async {
            if ANSWERED.fetch_add(1, Ordering::SeqCst) == 0 {
                step(3);
            }
            HttpResponse::Ok().finish()
        };
        let other = || async { ANSWERED.load(Ordering::SeqCst).to_string() };
        app.route("/held", web::get().to(held))
            .route("/many", web::get().to(many))
            .route("/other", web::get().to(other));
    });
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut socket = TcpStream::connect(address).unwrap();
    socket.write_all(request("/held").as_bytes()).unwrap();
    reached(1);
    let many = request("/many").repeat(MANY);
    socket.write_all(many.as_bytes()).unwrap();
    step(2);
    let other = thread::spawn(move || wire::get(address, "/other", "localhost"));
    thread::sleep(PAUSE); // until the worker has been handed it
    STEP.store(4, Ordering::SeqCst);
    let before: usize = other.join().unwrap().text().parse().unwrap();
    assert!(before < MANY / 2, "after {before} of {MANY}");
}
