//! Runs the program on small sites.

mod mistakes;
mod names;
mod previous;
mod references;
mod workshop;
mod written_files;
