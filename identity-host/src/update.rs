// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every verb that leaves an identity on a card does in the end: write it, and prove that it is there.

use std::path::Path;

use identity_core::Identity;
use identity_core::field::kind;

use crate::device::{Cid, WritableCard};
use crate::error::{Binding, Error, Result};
use crate::execute;
use crate::plan::{Plan, Step};
use crate::scan::Scan;
use crate::surroundings::Surroundings;
use crate::whole_card::WholeCard;

/// Carries out a plan that leaves `identity` on the card, and proves that it does: the pair is whole, and no other valid
/// copy is found. `path` is for messages.
///
/// # Errors
/// [`Error::BoundElsewhere`], and then nothing is written; as [`execute::run`]; [`Error::NotProved`].
pub fn write(
    plan: &Plan,
    identity: &Identity,
    card: &mut dyn WritableCard,
    path: &Path,
    hint_lba: Option<u32>,
    surroundings: Surroundings,
) -> Result<Scan> {
    check_binding(identity, &surroundings, path)?;
    execute::run(plan, card, path)?;
    let after = Scan::read(card, hint_lba).judged_in(surroundings);
    let is_there = pair_of(plan, &after).is_some_and(|lbas| WholeCard::is_proved(&after, identity, lbas));
    if is_there { Ok(after) } else { Err(Error::NotProved { path: path.to_owned(), scan: Box::new(after) }) }
}

/// Where the plan leaves the copies: a plan that completes a pair writes one of them.
fn pair_of(plan: &Plan, after: &Scan) -> Option<[u32; 2]> {
    let written = plan.steps.iter().find(|step| matches!(step, Step::Write { .. })).map(Step::lba);
    let (lba, _, peer_lba) = match written {
        Some(written) => after.valid().find(|(lba, _, _)| *lba == written)?,
        None => after.valid().next()?,
    };
    Some([lba, peer_lba])
}

/// An identity that is bound to another card or board would not be taken where it is written.
///
/// # Errors
/// [`Error::BoundElsewhere`].
pub fn check_binding(identity: &Identity, surroundings: &Surroundings, path: &Path) -> Result<()> {
    let elsewhere = |binding| Err(Error::BoundElsewhere { path: path.to_owned(), binding });
    let fields = identity.fields();
    if let (Some(bound), Ok(found)) = (fields.card().map(Cid::new), surroundings.card)
        && bound != found
    {
        return elsewhere(Binding::Card { bound, found });
    }
    match (fields.text(kind::BOARD), surroundings.board(identity)) {
        (Some(bound), Some(found)) if bound != found => {
            elsewhere(Binding::Board { bound: bound.to_owned(), found: found.to_owned() })
        }
        _ => Ok(()),
    }
}
