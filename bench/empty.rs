//! Ends at once: what starting a container costs with nothing in it.

fn main() {}
