//! A DNS server that knows one name, and fails when it is told to.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
    thread,
};

/// The answer to queries.
#[derive(Clone, Debug)]
pub enum Dns {
    /// Every name has these addresses.
    Answers(Vec<Ipv4Addr>),
    /// SERVFAIL.
    Fails,
    /// No answer.
    Silent,
}

/// The server; its thread ends with the test.
pub struct Server {
    /// The address that it listens on.
    pub address: SocketAddr,
    behaviour: Arc<Mutex<Dns>>,
}

impl Server {
    /// On a free port of `host`.
    pub fn start(host: &str, dns: Dns) -> Self {
        let socket = UdpSocket::bind((host, 0)).expect("a free port");
        let address = socket.local_addr().unwrap();
        let behaviour = Arc::new(Mutex::new(dns));
        let now = Arc::clone(&behaviour);
        thread::spawn(move || {
            let mut query = [0; 512];
            loop {
                let (length, client) = socket.recv_from(&mut query).expect("a query");
                let answer = answer(&query[..length], &now.lock().unwrap());
                if let Some(answer) = answer {
                    // The client may have closed its socket.
                    let _ = socket.send_to(&answer, client);
                }
            }
        });
        Self { address, behaviour }
    }

    /// Sets the answer to further queries.
    pub fn set(&self, dns: Dns) {
        *self.behaviour.lock().unwrap() = dns;
    }
}

/// Builds a response (RFC 1035 §4): the query's id and question, with flags and records.
fn answer(query: &[u8], dns: &Dns) -> Option<Vec<u8>> {
    let (addresses, code) = match dns {
        Dns::Answers(addresses) => (addresses.as_slice(), 0),
        Dns::Fails => (&[][..], 2),
        Dns::Silent => return None,
    };
    // The question ends with the root's empty label, a type and a class.
    let name = query[12..].iter().position(|&byte| byte == 0)? + 13;
    let is_a = query[name..name + 2] == [0, 1];
    let addresses = if is_a { addresses } else { &[] };
    let mut answer = query[..2].to_vec();
    answer.extend([
        0x81,
        0x80 | code,
        0,
        1,
        0,
        addresses.len() as u8,
        0,
        0,
        0,
        0,
    ]);
    answer.extend(&query[12..name + 4]);
    for address in addresses {
        // The name of the question, A, IN, for 600 seconds.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 2, 88, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}
