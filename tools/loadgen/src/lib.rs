//! A load generator that reports every lost request.
//!
//! Requests a number at a time at a steady rate, each number once, and reports the outcome of each. A request is sent when
//! it is due, whether earlier ones have been answered or not. No request is ever sent twice: what another client would
//! retry silently counts as lost here.
//!
//! 1. [`options`] are the command line, and say how a number is requested.
//! 2. [`generator`] sends requests by the clock and counts; its client sends one. Beside them it holds streams of events and
//!    WebSockets open.
//! 3. [`outcome`] is what the program prints.

mod client;
pub mod generator;
mod held;
pub mod options;
pub mod outcome;
mod sockets;
mod streams;
