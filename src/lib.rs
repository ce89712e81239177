//! Berth, in the order in which a request meets its parts.
//!
//! 1. [`config`] reads the environment, once, before anything else happens.
//! 2. [`server`] binds the address and puts the parts below together, outermost first.
//! 3. [`last`] ends a connection with the answer that was to be its last.
//! 4. [`health`] answers the platform's probes before any check, because probes come with odd Hosts.
//! 5. [`logging`] gives the request its id, and writes its line when the answer has gone out.
//! 6. [`proxies`] says who really asked, believing forwarding headers from trusted peers alone.
//! 7. [`body`] ends what is too large or too slow.
//! 8. [`guard`] refuses what no HTTP server may accept, and hosts that are not ours ([`hosts`]).
//! 9. [`site`] answers with a file, if there is one of that name.
//! 10. [`load`] refuses what is more than the process may work on at once.
//! 11. [`time`] is the service: **the one module that you replace**.
//! 12. [`refusal`] is where everything else ends.
//!
//! [`drain`] ends the process on SIGTERM, of which it tells the [`front`]. [`relief`] hangs up on whoever can't be
//! accepted. [`healthcheck`] is the other side of [`health`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod body;
pub mod config;
pub mod drain;
pub mod front;
pub mod guard;
pub mod health;
pub mod healthcheck;
pub mod hosts;
pub mod last;
pub mod load;
pub mod logging;
pub mod proxies;
pub mod refusal;
pub mod relief;
pub mod server;
pub mod site;
pub mod time;
