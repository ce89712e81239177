//! Berth's proofs. Each subject tests one of Berth's promises; [`run`] runs them one after the other.
//!
//! 1. [`subjects`] are the cases, a module for each subject.
//! 2. [`run`] runs them, and counts the results.
//! 3. [`load`] puts replicas that count under a load; [`stubs`] replaces the replicas with stubs.
//! 4. [`programs`] finds the programs that they start.
//! 5. [`wire_service`] runs a table of cases for a service with what real services send, in every mode.
//! 6. [`window`] is a browser, [`dns`] a DNS server that fails, [`site`] the built site, [`mutants`] a table of changes
//!    that a subject must notice.

pub mod dns;
pub mod load;
pub mod mutants;
pub mod programs;
pub mod run;
pub mod site;
pub mod stubs;
pub mod subjects;
pub mod window;
pub mod wire_service;
