//! Runs subjects, one after the other, each with its own number of threads.

use std::{
    env,
    io::{Write, stdout},
    time::{Duration, Instant},
};

use harness::root;
use libtest_mimic::{Arguments, Trial};

/// A group of Berth's promises, with its cases.
pub struct Subject {
    /// Its name, and its module's.
    pub name: &'static str,
    /// The number of threads; 0 for one per processor.
    pub threads: usize,
    /// Its cases.
    pub batches: fn() -> Vec<Batch>,
}

/// Cases that run side by side.
pub struct Batch {
    trials: Vec<Trial>,
    afterwards: Box<dyn FnOnce(bool) -> Result<(), String>>,
}

impl Batch {
    /// Returns a batch without a final step.
    pub fn of(trials: Vec<Trial>) -> Self {
        Self::then(trials, |_| Ok(()))
    }

    /// Returns a batch with a final step, which removes and judges shared resources. Its argument is whether all
    /// cases of the batch have passed.
    pub fn then(
        trials: Vec<Trial>,
        afterwards: impl FnOnce(bool) -> Result<(), String> + 'static,
    ) -> Self {
        Self {
            trials,
            afterwards: Box::new(afterwards),
        }
    }

    /// Returns both as one batch.
    pub fn beside(mut self, other: Self) -> Self {
        self.trials.extend(other.trials);
        let (first, second) = (self.afterwards, other.afterwards);
        Self::then(self.trials, move |all_passed| {
            let first = first(all_passed);
            second(all_passed).and(first)
        })
    }
}

/// The numbers of cases by result.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
    time: Duration,
}

impl Counts {
    fn cases(&self) -> u64 {
        self.passed + self.failed + self.skipped
    }

    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.time += other.time;
    }

    fn row(&self, name: &str) -> String {
        let Self {
            passed,
            failed,
            skipped,
            time,
        } = self;
        let (cases, seconds) = (self.cases(), time.as_secs_f64());
        format!("{name:<22} {cases:>6} {passed:>7} {failed:>7} {skipped:>8} {seconds:>8.1}")
    }
}

/// Returns whether a case of this subject is selected: a filter is a part of `SUBJECT: CASE`.
fn is_wanted(filters: &[String], subject: &str, trial: &Trial) -> bool {
    let name = format!("{subject}: {}", trial.name());
    filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
}

/// Returns the cases of a subject that `filters` select.
fn batches(subject: &Subject, filters: &[String]) -> Vec<Batch> {
    let mut batches = (subject.batches)();
    for batch in &mut batches {
        batch
            .trials
            .retain(|trial| is_wanted(filters, subject.name, trial));
    }
    batches.retain(|batch| !batch.trials.is_empty());
    batches
}

/// Prints the name of every case, and the number of each subject's.
pub fn list(subjects: &[&Subject], filters: &[String]) {
    enter_root();
    let mut lines = Vec::new();
    let mut counts = Vec::new();
    for subject in subjects {
        let batches = batches(subject, filters);
        let trials = batches.iter().flat_map(|batch| &batch.trials);
        let names: Vec<_> = trials.map(|trial| trial.name().to_owned()).collect();
        counts.push(format!("{:<22} {:>6}", subject.name, names.len()));
        lines.extend(names.iter().map(|name| format!("{}: {name}", subject.name)));
    }
    let total = format!("{} cases", lines.len());
    // A reader such as `head` may close the pipe.
    let text = [lines, vec![String::new()], counts, vec![total]].concat();
    let _ = writeln!(stdout(), "{}", text.join("\n"));
}

/// Runs the subjects, and prints the results. Returns whether no case failed.
pub fn run(subjects: &[&Subject], filters: &[String]) -> bool {
    enter_root();
    let mut rows = Vec::new();
    let mut total = Counts::default();
    for subject in subjects {
        let batches = batches(subject, filters);
        if batches.is_empty() {
            continue;
        }
        println!("\n{}", subject.name);
        let mut counts = Counts::default();
        for batch in batches {
            counts.add(&run_batch(subject, batch));
        }
        println!("{}: {:.1} s", subject.name, counts.time.as_secs_f64());
        rows.push(counts.row(subject.name));
        total.add(&counts);
    }
    println!(
        "\n{:<22} {:>6} {:>7} {:>7} {:>8} {:>8}",
        "subject", "cases", "passed", "failed", "skipped", "seconds"
    );
    rows.iter().for_each(|row| println!("{row}"));
    let Counts {
        passed,
        failed,
        skipped,
        ..
    } = total;
    println!("{}", total.row("all"));
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    failed == 0
}

fn run_batch(subject: &Subject, batch: Batch) -> Counts {
    let start = Instant::now();
    let arguments = Arguments {
        test_threads: (subject.threads > 0).then_some(subject.threads),
        ..Arguments::default()
    };
    let conclusion = libtest_mimic::run(&arguments, batch.trials);
    let mut counts = Counts {
        passed: conclusion.num_passed,
        failed: conclusion.num_failed,
        skipped: conclusion.num_ignored,
        time: Duration::ZERO,
    };
    let all_passed = counts.failed == 0 && counts.skipped == 0;
    if let Err(fault) = (batch.afterwards)(all_passed) {
        println!("{}: afterwards: FAILED\n{fault}", subject.name);
        counts.failed += 1;
    }
    counts.time = start.elapsed();
    counts
}

/// Changes to the top of the repository, since the cases use relative paths.
fn enter_root() {
    env::set_current_dir(root()).expect("the repository");
}
