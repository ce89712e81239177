//! When the process has no file descriptors left it can accept nobody, and whoever connects would hear nothing, for as
//! long as that lasts. Here they are hung up on at once: nginx then asks another replica, and leaves this one alone.

use std::{
    io,
    net::TcpListener,
    os::{fd::OwnedFd, unix::net::UnixListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Between two looks at whether there are descriptors left.
const LOOK: Duration = Duration::from_millis(100);

/// Holds on to the server's listener until it is dropped.
pub struct Relief(Arc<Mutex<Option<Watch>>>);

/// A listener of either kind.
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

struct Watch {
    listener: Listener,
    /// Given up for a moment, it makes room to accept somebody.
    spare: Option<OwnedFd>,
}

impl Relief {
    /// Watches over a copy of the server's listener, on a thread of its own.
    ///
    /// # Errors
    /// If there are no descriptors to begin with, or no threads.
    pub fn start(listener: Listener) -> io::Result<Self> {
        let spare = Some(listener.descriptor()?);
        let watch = Arc::new(Mutex::new(Some(Watch { listener, spare })));
        let watched = Arc::clone(&watch);
        thread::Builder::new()
            .name("relief".into())
            .spawn(move || {
                loop {
                    thread::sleep(LOOK);
                    match &mut *lock(&watched) {
                        Some(watch) => watch.look(),
                        None => break,
                    }
                }
            })?;
        Ok(Self(watch))
    }
}

impl Drop for Relief {
    fn drop(&mut self) {
        *lock(&self.0) = None;
    }
}

impl Watch {
    fn look(&mut self) {
        if let Ok(descriptor) = self.listener.descriptor() {
            // There are some, and perhaps one is to be had again.
            self.spare.get_or_insert(descriptor);
            return;
        }
        self.spare = None;
        let mut count = 0;
        while self.listener.hang_up().is_ok() {
            count += 1;
        }
        self.spare = self.listener.descriptor().ok();
        if count > 0 {
            log::error!("no file descriptors left: {count} connections were closed");
        }
    }
}

impl Listener {
    fn descriptor(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Tcp(listener) => listener.try_clone().map(OwnedFd::from),
            Self::Unix(listener) => listener.try_clone().map(OwnedFd::from),
        }
    }

    /// On the next that waits to be accepted; an error if nobody does.
    fn hang_up(&self) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.accept().map(drop),
            Self::Unix(listener) => listener.accept().map(drop),
        }
    }
}

fn lock(watch: &Mutex<Option<Watch>>) -> MutexGuard<'_, Option<Watch>> {
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}
