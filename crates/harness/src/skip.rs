//! Cases that could not be judged on this machine: skipped, with the reason, never passed and never failed.

use std::{
    cell::RefCell,
    io::{Write, stderr},
};

use libtest_mimic::{Completion, Failed, Trial};

thread_local! {
    static REASON: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Says that this case, or a part of it, could not be judged. The case then counts as skipped, unless it fails.
/// Standard test programs, which know no such result, print the line, too: `SKIPPED: why`.
pub fn skip(why: impl Into<String>) {
    let why = why.into();
    // Not by `eprintln!`: test programs capture that.
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

/// A list of `fn()` as trials, each with its name.
#[macro_export]
macro_rules! trials {
    ($($name:ident),* $(,)?) => {
        /// The cases of this subject.
        pub fn trials() -> Vec<libtest_mimic::Trial> {
            vec![$($crate::skip::trial(stringify!($name), $name)),*]
        }
    };
}
