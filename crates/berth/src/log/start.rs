//! Starts the log: env_logger's lines on standard error, through the [`Queue`], which never blocks the caller.

use std::{io, panic};

use env_logger::Target;
use log::{Level, LevelFilter, Record};

use super::{
    line::{self, LogFormat},
    queue::Queue,
};

/// The log while the process lives. When it is dropped it waits up to a second for the last lines to be written.
#[must_use = "without it the last lines are lost"]
pub struct Log {
    queue: Queue,
    format: LogFormat,
    logger: &'static env_logger::Logger,
}

impl Log {
    /// Starts the log; `filter` is in `RUST_LOG`'s language. Call it once a process.
    ///
    /// # Errors
    /// If the system starts no thread.
    pub fn start(format: LogFormat, filter: &str) -> io::Result<Self> {
        let queue = Queue::start(io::stderr(), |_, lost| {
            log::warn!("{lost} lines of the log could not be written, and are lost");
        })?;
        let logger = env_logger::Builder::new()
            .target(Target::Pipe(Box::new(queue.clone())))
            // Its start-up lines repeat what the program's own say.
            .filter_module("actix_server", LevelFilter::Warn)
            .parse_filters(filter)
            .format(match format {
                LogFormat::Text => line::text,
                LogFormat::Json => line::json,
            })
            .build();
        let logger: &'static _ = Box::leak(Box::new(logger));
        log::set_max_level(logger.filter());
        log::set_logger(logger).expect("the log is started once");
        // A panic is one line, and ends only its request.
        panic::set_hook(Box::new(|panic| log::error!("{panic}")));
        Ok(Self {
            queue,
            format,
            logger,
        })
    }

    /// The format and the queue, for lines that are written without a record; none if the filter leaves out such lines.
    pub fn direct(&self, target: &str, level: Level, message: &str) -> Option<(LogFormat, Queue)> {
        let mut record = Record::builder();
        record.target(target).level(level);
        self.logger
            .matches(&record.args(format_args!("{message}")).build())
            .then(|| (self.format, self.queue.clone()))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.flush_all();
    }
}
