//! Shared code of the tests: HTTP on the wire, the app alone (`solo`), nginx with replicas (`stack`), and both in one
//! container (`bundle`). The app does not depend on it.

pub mod bundle;
pub mod container;
pub mod contract;
pub mod error_page;
pub mod fixture;
pub mod in_flight;
pub mod modes;
pub mod overload;
pub mod skip;
pub mod solo;
pub mod stack;
pub mod stall;
pub mod text;
pub mod wire;

pub use bundle::Bundle;
pub use skip::skip;
pub use solo::Solo;
pub use stack::Stack;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

/// Sets the flag on drop. Threads that wait for it then end even if the test fails.
pub struct SetOnDrop<'a>(pub &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The top of the repository.
pub fn root() -> PathBuf {
    let top = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    PathBuf::from(top).canonicalize().expect("the repository")
}
