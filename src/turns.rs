//! Taking turns with the nginx on the same machine.
//!
//! Linux lets a process that is woken interrupt the one that woke it. Where nginx and its replicas share processors, each
//! request that nginx passes on is then an interruption, and each answer another. Under `SCHED_BATCH` (sched(7)) whoever is
//! woken waits until the other has done what it had before it: half a batch of requests later, and at two thirds of the
//! cost. nginx does the same (`nginx/entrypoint.sh`). Alone, the app has nobody to take turns with.

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use crate::config::{Address, Config};

/// What that crate calls the priority that every process has by itself (nice 0).
const ORDINARY: u8 = 47;

/// Has this thread, and those that it starts from now on, take turns if there is a front on this machine. A system that
/// refuses has us do without.
pub fn take(config: &Config) {
    if config.front.0.is_none() && !matches!(config.bind, Address::Unix(_)) {
        return;
    }
    let priority = ORDINARY.try_into().expect("one of 0 to 99");
    let _ = set_thread_priority_and_policy(
        thread_native_id(),
        ThreadPriority::Crossplatform(priority),
        ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch),
    );
}
