//! Berth with another service, in the tests' own process.

use std::{ffi::OsString, net::SocketAddr, sync::mpsc, thread};

use actix_web::web;
use berth::{
    config::{Address, Config},
    server,
};

/// Serves until the tests end, on a free port.
pub fn serve(variables: &[(&str, &str)], service: fn(&mut web::ServiceConfig)) -> SocketAddr {
    let variables = [("BIND", "127.0.0.1:0")].iter().chain(variables);
    let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let (config, _) = Config::load(variables.collect::<Vec<_>>()).unwrap();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        actix_web::rt::System::new().block_on(async {
            let server = server::build(config, service).unwrap();
            tell.send(server.address().clone()).unwrap();
            server.run().await.unwrap();
        });
    });
    match told.recv().unwrap() {
        Address::Tcp(address) => address,
        Address::Unix(path) => panic!("{path:?}"),
    }
}
