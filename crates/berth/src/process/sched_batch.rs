//! `SCHED_BATCH` (sched(7)) where nginx shares the processors.
//!
//! Linux lets a process that wakes up interrupt the one that woke it. Where nginx and its replicas share processors, each
//! request and each response is then an interruption. Under `SCHED_BATCH` the process that wakes up waits until the other
//! has done its batch: requests cost a third less. nginx runs under it too ([`crate::nginx`]).

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// That crate's name for the priority that every process starts with (nice 0).
const ORDINARY: u8 = 47;

/// Runs this thread, and those that it starts, under `SCHED_BATCH`. Where the system refuses, nothing changes.
pub fn use_sched_batch() {
    let priority = ORDINARY.try_into().expect("one of 0 to 99");
    let _ = set_thread_priority_and_policy(
        thread_native_id(),
        ThreadPriority::Crossplatform(priority),
        ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch),
    );
}
