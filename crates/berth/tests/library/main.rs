//! The library's tests. They need neither containers nor the sample's binary.

mod body_limit;
mod compression;
mod concurrency_limit;
mod cors;
mod default_service;
mod error_pages;
mod forwarded;
mod hosts;
mod methods;
mod service;
mod settings;
mod site_file;
