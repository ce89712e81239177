//! Closes new connections at once while the process has no file descriptors left (EMFILE). It can't accept them, and their
//! clients would wait; nginx asks another replica instead, and takes this one out of turn.

use std::{
    io,
    net::TcpListener,
    os::{fd::OwnedFd, unix::net::UnixListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Between two checks for descriptors.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Watches the server's listener until it is dropped.
pub struct FdExhaustion(Arc<Mutex<Option<Watch>>>);

/// A listener of either kind.
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

struct Watch {
    listener: Listener,
    /// Closed for a moment, it makes room to accept a connection.
    spare: Option<OwnedFd>,
}

impl FdExhaustion {
    /// Watches a duplicate of the server's listener, on a thread of its own.
    ///
    /// # Errors
    /// If there is no descriptor or no thread to begin with.
    pub fn watch(listener: Listener) -> io::Result<Self> {
        let spare = Some(listener.descriptor()?);
        let watch = Arc::new(Mutex::new(Some(Watch { listener, spare })));
        let watched = Arc::clone(&watch);
        thread::Builder::new()
            .name("fd-exhaustion".into())
            .spawn(move || {
                loop {
                    thread::sleep(POLL_INTERVAL);
                    match &mut *lock(&watched) {
                        Some(watch) => watch.check(),
                        None => break,
                    }
                }
            })?;
        Ok(Self(watch))
    }
}

impl Drop for FdExhaustion {
    fn drop(&mut self) {
        *lock(&self.0) = None;
    }
}

impl Watch {
    fn check(&mut self) {
        if let Ok(descriptor) = self.listener.descriptor() {
            // Keeps it as the spare one, if that was used up.
            self.spare.get_or_insert(descriptor);
            return;
        }
        self.spare = None;
        let mut count = 0;
        while self.listener.accept_and_close().is_ok() {
            count += 1;
        }
        self.spare = self.listener.descriptor().ok();
        if count > 0 {
            log::error!("no file descriptors left: {count} connections were closed");
        }
    }
}

impl Listener {
    /// A duplicate.
    ///
    /// # Errors
    /// If there is no descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(listener) => listener.try_clone().map(Self::Tcp),
            Self::Unix(listener) => listener.try_clone().map(Self::Unix),
        }
    }

    fn descriptor(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Tcp(listener) => listener.try_clone().map(OwnedFd::from),
            Self::Unix(listener) => listener.try_clone().map(OwnedFd::from),
        }
    }

    /// Closes the next connection that waits; an error if none does.
    fn accept_and_close(&self) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.accept().map(drop),
            Self::Unix(listener) => listener.accept().map(drop),
        }
    }
}

fn lock(watch: &Mutex<Option<Watch>>) -> MutexGuard<'_, Option<Watch>> {
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}
