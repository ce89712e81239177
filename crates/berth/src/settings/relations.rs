//! Rules that relate several variables; a settings struct applies them in its `relate`.

use std::{net::Ipv6Addr, time::Duration};

use super::{
    platform_hosts,
    reader::{Mistake, Row, Sources, Warning},
    values::{Address, HostAndPort, Port, Seconds},
};
use crate::http::{forwarded::TrustedProxies, host::AllowedHosts};

/// nginx keeps an idle connection to a replica this long: `keepalive_timeout` of nginx/conf.d/upstream.conf.
pub const NGINX_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Trusts the peers of a Unix socket, which have no address.
pub fn trust_unix_peers(bind: &Address, trusted: &mut TrustedProxies) {
    let is_unix = matches!(bind, Address::Unix(_));
    *trusted = std::mem::take(trusted).listening_on_unix(is_unix);
}

impl Sources {
    /// `PORT` replaces the port of `BIND`, and binds every address unless `BIND` is set.
    pub fn apply_port(&mut self, bind: &mut Address, port: &Port) {
        let row = self.rows.iter_mut().find(|row| row.name == "BIND");
        if let (Address::Tcp(address), Some(port), Some(row)) = (bind, port.0, row) {
            if !row.is_set {
                address.set_ip(Ipv6Addr::UNSPECIFIED.into());
            }
            address.set_port(port.get());
            row.value = address.to_string();
            row.from = "PORT".to_owned();
        }
    }

    /// Adds the platform's host names to `ALLOWED_HOSTS`.
    pub fn allow_platform_hosts(&mut self, allowed: &mut AllowedHosts) {
        let is_row = |row: &Row| row.name == "ALLOWED_HOSTS";
        let mut next = 1 + self.rows.iter().position(is_row).expect("it was read");
        for name in platform_hosts::public_names(&self.others) {
            match allowed.and(&name.host) {
                Ok(false) => {}
                Ok(true) => {
                    let row = Row {
                        name: "ALLOWED_HOSTS",
                        value: name.host,
                        from: name.from,
                        is_set: true,
                    };
                    self.rows.insert(next, row);
                    next += 1;
                }
                Err(_) => self.warnings.push(Warning::NoHost(name)),
            }
        }
    }

    /// `KEEP_ALIVE` must exceed nginx's, or be 0: a replica must not close a connection that nginx is about to use.
    pub fn keep_alive_beyond_nginx(&mut self, keep_alive: Seconds, nginx: &HostAndPort) {
        let kept = Duration::from(keep_alive);
        if nginx.0.is_some() && !kept.is_zero() && kept <= NGINX_IDLE_TIMEOUT {
            let value = keep_alive.to_string();
            let remedy = format!(
                "too short: the nginx of NGINX_ADDRESS uses its connections again for {} s; set it to more, or to 0",
                NGINX_IDLE_TIMEOUT.as_secs()
            );
            let mistake = Mistake::new("KEEP_ALIVE", Some(value.as_ref()), remedy);
            self.mistakes.push(mistake);
        }
    }
}
