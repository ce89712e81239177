//! The service of tools/fixture/src/bin/wire.rs in the place of the sample, and tables of cases for it.

use std::sync::Arc;

use harness::modes::{self, Case, Mode, Modes, Service};

use crate::{load::image, programs::program, run::Batch};

/// The case's name, its modes, and its check.
pub type Row = (&'static str, &'static [Mode], fn(&Modes, Mode));

/// The service.
pub const SERVICE: Service = Service {
    program: || program("wire"),
    app_image: || image("wire", "1"),
    bundle_image: || image("bundled_wire", "1"),
};

/// Returns the rows as a batch, with servers of their own and these variables.
pub fn batch(variables: &[(&'static str, &str)], rows: &[Row]) -> Batch {
    let variables = variables.iter();
    let variables = variables.map(|&(name, value)| (name, value.to_owned()));
    let modes = Modes::with_service(variables.collect(), SERVICE);
    batch_of(modes, rows.iter().copied())
}

/// The same with the servers of another service.
pub fn batch_of(modes: Modes, rows: impl Iterator<Item = Row>) -> Batch {
    let modes = Arc::new(modes);
    let cases = rows.flat_map(|(name, modes, check)| {
        modes.iter().map(move |&mode| Case {
            name: name.to_owned(),
            mode,
            check: Box::new(move |modes| {
                check(modes, mode);
                Ok(())
            }),
        })
    });
    let trials = modes::trials(&modes, cases.collect());
    Batch::then(trials, move |_| {
        modes::take_down(modes);
        Ok(())
    })
}
