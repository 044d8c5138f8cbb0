// SPDX-License-Identifier: MIT OR Apache-2.0
//! What stands in the way of an import: all of it is told at once, each with its place.

use identity_ui::output::say;
use identity_ui::{Exit, Failure};

use crate::place::Place;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, for the order.
    place: Place,
    exit: Exit,
    /// The place, and what it is.
    pub text: String,
}

impl Fault {
    fn new(exit: Exit, place: Place, what: impl std::fmt::Display) -> Self {
        Self { exit, text: format!("{place}: {what}"), place }
    }

    /// What cannot be read: exit 4.
    pub fn unreadable(place: Place, what: impl std::fmt::Display) -> Self {
        Self::new(Exit::Corrupt, place, what)
    }

    /// What clashes with something else: exit 6.
    pub fn refused(place: Place, what: impl std::fmt::Display) -> Self {
        Self::new(Exit::Refused, place, what)
    }

    /// What the command line lacks: exit 2.
    pub fn usage(place: Place, what: impl std::fmt::Display) -> Self {
        Self::new(Exit::Usage, place, what)
    }
}

/// In the order of the lines and columns; each file for itself.
pub fn sort(faults: &mut [Fault]) {
    faults.sort_by_key(|Fault { place, .. }| {
        (place.file().to_owned(), place.line_number(), place.column_number())
    });
}

/// Tells all faults, of which there is one at least, and ends with what weighs most: what cannot be read, then what clashes.
/// `end` is what has come of it.
pub fn failure(mut faults: Vec<Fault>, end: &str) -> Failure {
    sort(&mut faults);
    let weighs = |exit: Exit| faults.iter().any(|fault| fault.exit == exit);
    let exit = [Exit::Corrupt, Exit::Refused].into_iter().find(|exit| weighs(*exit)).unwrap_or(Exit::Usage);
    let end = if end.is_empty() { String::new() } else { format!("; {end}") };
    if let [one] = &faults[..] {
        return Failure::new(exit, format!("{}{end}", one.text));
    }
    for fault in &faults {
        say(&fault.text);
    }
    Failure::new(exit, format!("{} faults{end}", faults.len()))
}
