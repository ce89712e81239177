//! Skips cases that can't be judged on this machine, with the reason. They neither pass nor fail.

use std::{
    cell::RefCell,
    io::{Write, stderr},
};

use libtest_mimic::{Completion, Failed, Trial};

use crate::stall::{self, Stall, Tolerance};

thread_local! {
    static REASON: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Reports that this case, or a part of it, could not be judged. The case then counts as skipped, unless it fails.
/// Standard test programs have no such result; they print the line `SKIPPED: why` as well.
pub fn skip(why: impl Into<String>) {
    let why = why.into();
    // Test programs capture `eprintln!`.
    let _ = writeln!(stderr(), "SKIPPED: {why}");
    REASON.with_borrow_mut(|reason| match reason {
        Some(reason) => *reason = format!("{reason}; {why}"),
        None => *reason = Some(why),
    });
}

/// A named case, which may call [`skip`].
pub fn trial<R, F>(name: impl Into<String>, check: F) -> Trial
where
    R: IntoResult,
    F: FnOnce() -> R + Send + 'static,
{
    Trial::ignorable_test(name, move || {
        REASON.take();
        check().into_result()?;
        Ok(match REASON.take() {
            Some(reason) => Completion::ignored_with(reason),
            None => Completion::Completed,
        })
    })
}

/// A case that judges time. If it fails while the machine stalls for more than `tolerance`, it is skipped.
pub fn timed_trial<R, F>(name: impl Into<String>, tolerance: Tolerance, check: F) -> Trial
where
    R: IntoResult,
    F: FnOnce() -> R + Send + 'static,
{
    trial(name, move || {
        let stall = Stall::begin();
        let mut result = Ok(());
        stall::judge(tolerance, || result = check().into_result());
        match (&result, stall.beyond(tolerance)) {
            (Err(failed), Some(stalled)) => {
                skip(stalled.because_of(failed.message().unwrap_or_default()));
                Ok(())
            }
            _ => result,
        }
    })
}

/// A case that is skipped without being run, for this reason.
pub fn skipped(name: impl Into<String>, why: String) -> Trial {
    Trial::ignorable_test(name, move || Ok(Completion::ignored_with(why)))
}

/// What a case may return.
pub trait IntoResult {
    /// The same as a result.
    ///
    /// # Errors
    /// If the case failed.
    fn into_result(self) -> Result<(), Failed>;
}

impl IntoResult for () {
    fn into_result(self) -> Result<(), Failed> {
        Ok(())
    }
}

impl IntoResult for Result<(), Failed> {
    fn into_result(self) -> Result<(), Failed> {
        self
    }
}

/// A list of `fn()` as trials, each with its name. `@timed` marks those that judge time ([`crate::stall`]).
#[macro_export]
macro_rules! trials {
    (@one timed $name:ident) => {
        $crate::skip::timed_trial(stringify!($name), $crate::stall::TOLERANCE, $name)
    };
    (@one $name:ident) => {
        $crate::skip::trial(stringify!($name), $name)
    };
    ($($(@$timed:ident)? $name:ident),* $(,)?) => {
        /// The cases of this subject.
        pub fn trials() -> Vec<libtest_mimic::Trial> {
            vec![$($crate::trials!(@one $($timed)? $name)),*]
        }
    };
}
