//! A platform as its folder describes it, and what is wrong with that: for `make check`, and for the tests.
#![allow(dead_code, reason = "each of these programs uses its own part")]

pub mod contract;
pub mod document;
pub mod image;
pub mod rules;
