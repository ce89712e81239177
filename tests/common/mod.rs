//! What the tests share: a raw HTTP client, the app alone (`solo`), nginx with replicas (`stack`), and both in one
//! container (`bundle`).
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod bundle;
pub mod container;
pub mod contract;
pub mod dns;
pub mod fixture;
pub mod front;
pub mod in_flight;
pub mod load;
pub mod modes;
pub mod mutants;
pub mod service;
pub mod site;
pub mod solo;
pub mod stack;
pub mod text;
pub mod wire;

pub use bundle::Bundle;
pub use solo::Solo;
pub use stack::Stack;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

/// Says that it is over when it is dropped, so that others who wait for that end also if a test fails.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The top of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
