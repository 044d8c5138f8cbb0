// SPDX-License-Identifier: MIT OR Apache-2.0
//! Binding: an update that notes, or forgets, on which card and board the identity is.

use std::path::Path;

use identity_core::field::kind;
use identity_core::{Identity, State};

use crate::device::{Card, Cid};
use crate::error::{Binding, Error, Result};
use crate::plan::{self, Plan, Step};
use crate::scan::Scan;
use crate::surroundings::Surroundings;
use crate::whole_card::WholeCard;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// To the card that it is on; with `unbind`, no longer.
    pub card: bool,
    /// To the card with this CID.
    pub cid: Option<Cid>,
    /// To the board with this serial number, or to the one that this runs on; with `unbind`, no longer.
    pub board: Option<Option<String>>,
    /// Whether the bindings go.
    pub unbind: bool,
    /// Whether to bind an identity that is bound to another card or board.
    pub force: bool,
    /// Whether to bind only a valid, whole identity that is bound to nothing; what is bound as asked is left alone.
    pub if_unbound: bool,
    /// Whether the card is in use: then nothing but its two copies is written.
    pub in_use: bool,
    /// A place to look at before the slots.
    pub hint_lba: Option<u32>,
}

/// A binding that may begin.
pub struct Prepared {
    /// What is on the card.
    pub card: WholeCard,
    /// The identity as it will be.
    pub identity: Identity,
    /// The steps; none if nothing is to be done.
    pub plan: Plan,
}

/// What there is, the identity as it will be, and what to write to this card. `path` is for messages.
///
/// # Errors
/// Whatever speaks against it.
pub fn prepare(
    request: &Request,
    card: &dyn Card,
    path: &Path,
    surroundings: Surroundings,
) -> Result<Prepared> {
    let card = WholeCard::read(card, path, request.hint_lba, surroundings)?;
    card.check_may_keep(path, request.force)?;
    let scan = &card.scan;
    let latest = match (scan.state(), scan.latest()) {
        (State::Valid | State::Degraded, Some(latest)) => latest,
        (State::Cloned | State::Moved, Some(latest)) if request.force => latest,
        _ => return Err(card.state_error(path)),
    };
    if request.if_unbound && scan.state() != State::Valid {
        return Err(Error::State { path: path.to_owned(), scan: Box::new(card.scan) });
    }
    if let Some(lba) = scan.lone_copy().filter(|_| !request.force) {
        return Err(Error::LoneCopy { path: path.to_owned(), lba, in_partition: scan.is_in_partition(lba) });
    }
    check_is_here(request, latest, scan.surroundings(), path)?;
    let identity = bound(request, latest, scan.surroundings(), path)?;
    if identity.fields() == latest.fields() && scan.state() == State::Valid {
        let identity = latest.clone();
        return Ok(Prepared { card, identity, plan: Plan::default() });
    }
    if request.if_unbound && is_bound(latest)
        || !request.force && !request.unbind && replaces(latest, &identity)
    {
        return Err(Error::BoundAlready { path: path.to_owned(), identity: Box::new(latest.clone()) });
    }
    let pair = card.choose(&[], false, path)?;
    let plan = plan::write(&identity, &pair, scan, card.partition_lba());
    let plan = card.without_pending_flash(plan);
    if request.in_use
        && let Some(beside) = plan.steps.iter().find(|step| !matches!(step, Step::Write { .. }))
    {
        let (path, lba) = (path.to_owned(), beside.lba());
        return Err(Error::CopyBesidePair { path, lba, in_partition: scan.is_in_partition(lba) });
    }
    Ok(Prepared { card, identity, plan })
}

/// Whether what is named to bind to is what is there, as far as that is known.
fn check_is_here(request: &Request, latest: &Identity, here: &Surroundings, path: &Path) -> Result<()> {
    let elsewhere = |binding| Err(Error::NotHere { path: path.to_owned(), binding });
    if let (Some(bound), Ok(found), false) = (request.cid, here.card, request.unbind)
        && bound != found
    {
        return elsewhere(Binding::Card { bound, found });
    }
    match (request.board.as_ref().and_then(Option::as_deref), here.board(latest)) {
        (Some(bound), Some(found)) if bound != found && !request.unbind => {
            elsewhere(Binding::Board { bound: bound.to_owned(), found: found.to_owned() })
        }
        _ => Ok(()),
    }
}

fn is_bound(identity: &Identity) -> bool {
    identity.fields().card().is_some() || identity.fields().text(kind::BOARD).is_some()
}

/// Whether a binding gives way to another one.
fn replaces(before: &Identity, after: &Identity) -> bool {
    let (before, after) = (before.fields(), after.fields());
    let board = before.text(kind::BOARD);
    before.card().is_some() && before.card() != after.card()
        || board.is_some() && board != after.text(kind::BOARD)
}

/// Whether a valid identity is bound as asked already, by its slots alone.
pub fn is_done(request: &Request, scan: &Scan) -> bool {
    let Some(latest) = scan.latest().filter(|_| scan.state() == State::Valid) else { return false };
    bound(request, latest, scan.surroundings(), Path::new(""))
        .is_ok_and(|identity| identity.fields() == latest.fields())
}

/// The next generation, bound as asked.
fn bound(request: &Request, latest: &Identity, surroundings: &Surroundings, path: &Path) -> Result<Identity> {
    let mut draft = latest.next().map_err(Error::Generation)?;
    let both = !request.card && request.cid.is_none() && request.board.is_none();
    if request.unbind {
        let (card, board) = (request.card || both, request.board.is_some() || both);
        draft.remove(|kind, _| (card && kind == kind::CARD) || (board && kind == kind::BOARD));
        return draft.finish().map_err(Error::Value);
    }
    if request.card || request.cid.is_some() || both {
        let cid = request
            .cid
            .map_or(surroundings.card, Ok)
            .map_err(|reason| Error::NoCid { path: path.to_owned(), reason })?;
        draft.set_card(*cid.bytes()).map_err(Error::Value)?;
    }
    if let Some(given) = &request.board {
        let serial = given
            .as_deref()
            .or(surroundings.board(latest))
            .ok_or_else(|| Error::NoBoard { path: path.to_owned() })?;
        draft.set_text(kind::BOARD, serial).map_err(Error::Value)?;
    }
    draft.finish().map_err(Error::Value)
}
