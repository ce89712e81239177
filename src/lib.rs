//! Berth, in the order in which a request meets its parts.
//!
//! 1. [`config`] reads the environment, once, before anything else happens; [`platforms`] knows what some call us.
//! 2. [`server`] binds the address and puts the parts below together, outermost first.
//! 3. [`last`] ends a connection with the answer that was to be its last.
//! 4. [`headers`] tells browsers how to treat the answer.
//! 5. [`health`] answers the platform's probes before any check, because probes come with odd Hosts.
//! 6. [`logging::access`] gives the request its id, and writes its line when the answer has gone out.
//! 7. [`proxies`] says who really asked, believing forwarding headers from trusted peers alone.
//! 8. [`refusal`] finds the words for an answer that is an error and has none.
//! 9. [`body`] ends what is too large or too slow.
//! 10. [`maintenance`] turns everyone away while there is some.
//! 11. [`guard`] refuses what no HTTP server may accept, and hosts that are not ours ([`hosts`]).
//! 12. [`site`] answers with a file, if there is one of that name.
//! 13. [`load`] refuses what is more than the process may work on at once.
//! 14. [`failure`] keeps to itself why the service failed.
//! 15. [`time`] is the service: **the one module that you replace**.
//!
//! Everything else ends in [`refusal`]. [`drain`] ends the process on SIGTERM, of which it tells the [`front`]. [`relief`]
//! hangs up on whoever can't be accepted, and [`idle`] on whoever asks for nothing more. [`memory`] that a load has left goes
//! back to the system. [`turns`] are taken with an nginx on the same machine. [`healthcheck`] is the other side of
//! [`health`]. [`front_files`] is what nginx needs of all this, and [`bundle`] runs it behind an nginx in the same container.

#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod body;
pub mod bundle;
pub mod config;
pub mod drain;
pub mod failure;
pub mod front;
pub mod front_files;
pub mod guard;
pub mod headers;
pub mod health;
pub mod healthcheck;
pub mod hosts;
pub mod idle;
pub mod last;
pub mod load;
pub mod logging;
pub mod maintenance;
pub mod memory;
pub mod platforms;
pub mod proxies;
pub mod refusal;
pub mod relief;
pub mod server;
pub mod site;
pub mod time;
pub mod turns;
