// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stamping: a new identity, an update of the one that the card has, or, by force, a replacement.

use std::path::Path;

use identity_core::field::{FIELD_HEADER_LEN, kind};
use identity_core::identity::DraftError;
use identity_core::mac::MAC_LEN;
use identity_core::sector::FIELDS_CAPACITY;
use identity_core::{Draft, Identity, Mac, State, Uuid};

use crate::device::Card;
use crate::error::{Error, Result};
use crate::plan::{self, Plan};
use crate::record::{CardKey, Record};
use crate::scan::Scan;
use crate::surroundings::Surroundings;
use crate::whole_card::WholeCard;

/// A field that an update removes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unset {
    /// Remove the hostname field.
    Hostname,
    /// Remove the serial field.
    Serial,
    /// The assigned MAC address of an interface.
    Mac(u8),
    /// A variable, by its key.
    Variable(String),
}

/// What an identity is to have.
#[derive(Clone, Debug, Default)]
pub struct Values {
    /// Name of the board's role; a new identity needs it.
    pub profile: Option<String>,
    /// Hostname by RFC 1123.
    pub hostname: Option<String>,
    /// Board serial, printable ASCII without space.
    pub serial: Option<String>,
    /// Assigned MAC addresses, by interface index.
    pub macs: Vec<(u8, Mac)>,
    /// Variables as pairs of key and value.
    pub variables: Vec<(String, String)>,
    /// Fields that an update removes.
    pub unset: Vec<Unset>,
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Values of the fields that are named.
    pub values: Values,
    /// The UUID: of a new identity, or that of the card for an update. Random if not given.
    pub uuid: Option<Uuid>,
    /// An identity from a record or a document, in place of values.
    pub restore: Option<Identity>,
    /// Places for the copies, instead of slots.
    pub at: Vec<u32>,
    /// Whether to bind the identity to the card, where its CID is known.
    pub bind: bool,
    /// Whether to replace another identity.
    pub force: bool,
}

/// What a stamp does to the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It had no identity.
    New,
    /// The same identity, one generation on; of a conflict, the others go.
    Update,
    /// Whatever copies it had go.
    Replacement,
}

/// A stamp that may begin.
pub struct Prepared {
    /// What is on the card.
    pub card: WholeCard,
    /// The identity to write.
    pub identity: Identity,
    /// The steps that write the identity.
    pub plan: Plan,
    /// What becomes of the card's identity.
    pub effect: Effect,
    /// Why the identity is not bound to the card although that was asked for.
    pub unbound: Option<&'static str>,
}

impl Prepared {
    /// What has to be kept elsewhere before the plan is carried out.
    pub fn retired(&self, key: &CardKey) -> Vec<Record> {
        let scan = &self.card.scan;
        match self.effect {
            Effect::Replacement => Record::retired(scan, key),
            Effect::New | Effect::Update => Record::going(scan, key, self.identity.uuid()),
        }
    }
}

impl Request {
    /// The identity that a blank card gets; `None` if only an update is possible, for want of a profile. To be called once,
    /// before anything is opened or made: a UUID is drawn.
    ///
    /// # Errors
    /// [`Error::Value`] if a value breaks its rule.
    pub fn new_identity(&self) -> Result<Option<Identity>> {
        if let Some(restored) = &self.restore {
            let mut draft = restored.draft();
            // An identity of the highest generation is given back as it was: its generation does not wrap, and the undo works.
            draft.set_generation(restored.generation().saturating_add(1));
            // A binding names the old card and the board that it was in: the new card is bound anew, if at all.
            draft.remove(|field, _| field == kind::CARD || field == kind::BOARD);
            return draft.finish().map(Some).map_err(Error::Generation);
        }
        let mut draft = Draft::new(self.uuid.unwrap_or_else(Uuid::new_v4)).map_err(Error::Value)?;
        self.values.put_into(&mut draft)?;
        match draft.finish() {
            Err(DraftError::NoProfile) => Ok(None),
            result => {
                let identity = result.map_err(Error::Value)?;
                self.values.check_macs(&identity)?;
                Ok(Some(identity))
            }
        }
    }
}

impl Values {
    /// Puts the values into a draft.
    ///
    /// # Errors
    /// [`Error::Value`] if one breaks its rule, or they do not fit.
    pub fn put_into(&self, draft: &mut Draft) -> Result<()> {
        for field in &self.unset {
            unset(draft, field);
        }
        let texts =
            [(kind::PROFILE, &self.profile), (kind::HOSTNAME, &self.hostname), (kind::SERIAL, &self.serial)];
        for (kind, text) in texts {
            if let Some(text) = text {
                draft.set_text(kind, text).map_err(Error::Value)?;
            }
        }
        // A draft stops counting at the first field that it has no room for; what is named is known whole.
        let value = |error| match error {
            DraftError::TooLarge { over } => Error::Value(DraftError::TooLarge {
                over: over.max(self.len().saturating_sub(FIELDS_CAPACITY)),
            }),
            error => Error::Value(error),
        };
        for &(index, mac) in &self.macs {
            draft.set_mac(index, mac).map_err(value)?;
        }
        for (key, text) in &self.variables {
            draft.set_variable(key, text).map_err(value)?;
        }
        Ok(())
    }

    /// Whether an address that is assigned here is the address of another interface too, assigned or derived.
    fn check_macs(&self, identity: &Identity) -> Result<()> {
        for &(index, mac) in &self.macs {
            let index = u32::from(index);
            let is_same = |other: &u32| *other != index && identity.mac(*other).0 == mac;
            if let Some(other) = (0..=u32::from(u8::MAX)).find(is_same) {
                return Err(Error::SameMac { mac, interfaces: [index.min(other), index.max(other)] });
            }
        }
        Ok(())
    }

    /// Bytes that the fields take.
    fn len(&self) -> usize {
        let texts = [&self.profile, &self.hostname, &self.serial].into_iter().flatten().map(String::len);
        let macs = self.macs.iter().map(|_| 1 + MAC_LEN);
        let variables = self.variables.iter().map(|(key, value)| key.len() + 1 + value.len());
        texts.chain(macs).chain(variables).map(|len| FIELD_HEADER_LEN + len).sum()
    }
}

fn unset(draft: &mut Draft, field: &Unset) {
    match field {
        Unset::Hostname => draft.remove(|kind, _| kind == kind::HOSTNAME),
        Unset::Serial => draft.remove(|kind, _| kind == kind::SERIAL),
        Unset::Mac(index) => {
            draft.remove(|kind, value| kind == kind::MAC && value.first() == Some(index));
        }
        Unset::Variable(key) => {
            let start = format!("{key}=");
            draft.remove(|kind, value| kind == kind::VARIABLE && value.starts_with(start.as_bytes()));
        }
    }
}

/// What to write to this card; `fresh` is [`Request::new_identity`]'s. `path` is for messages.
///
/// # Errors
/// Whatever speaks against it.
pub fn prepare(
    request: &Request,
    fresh: Option<Identity>,
    card: &dyn Card,
    path: &Path,
    surroundings: Surroundings,
) -> Result<Prepared> {
    let card = WholeCard::read(card, path, request.at.first().copied(), surroundings)?;
    card.check_may_write(path, request.force)?;
    let (identity, effect) = decide(request, &card, fresh, path)?;
    let (identity, unbound) = bind(request, identity, card.scan.surroundings())?;
    let goes = |(_, old, _): (u32, &Identity, u32)| old.uuid() != identity.uuid();
    if effect == Effect::Replacement || card.scan.valid().any(goes) {
        card.check_may_destroy(path, request.force)?;
    }
    let pair = card.choose(&request.at, request.force, path)?;
    let plan = plan::write(&identity, &pair, &card.scan, card.partition_lba());
    let plan = card.without_pending_flash(plan);
    Ok(Prepared { card, identity, plan, effect, unbound })
}

/// The identity to write: a new one on a blank card, the next generation of the one it has, or, by force, a new one.
fn decide(
    request: &Request,
    card: &WholeCard,
    fresh: Option<Identity>,
    path: &Path,
) -> Result<(Identity, Effect)> {
    let scan = &card.scan;
    let present = || Error::IdentityPresent { path: path.to_owned(), scan: Box::new(scan.clone()) };
    let fresh = |effect| fresh.map(|fresh| (fresh, effect)).ok_or(Error::NoProfile);
    match (scan.state(), scan.latest()) {
        (State::Blank, _) => fresh(Effect::New),
        (State::Valid | State::Degraded, Some(latest)) if request.uuid == Some(latest.uuid()) => {
            Ok((update(request, latest)?, Effect::Update))
        }
        (State::Conflict, _) if request.force && request.uuid.is_some_and(|uuid| has(scan, uuid)) => {
            let latest = request.uuid.and_then(|uuid| scan.version(uuid));
            let latest =
                latest.ok_or_else(|| Error::State { path: path.to_owned(), scan: Box::new(scan.clone()) })?;
            Ok((update(request, latest)?, Effect::Update))
        }
        // Whose it is, is for a binding to say: an update would leave it as doubtful, a new one with its UUID would be its double.
        (State::Cloned | State::Moved, Some(latest)) if request.uuid == Some(latest.uuid()) => Err(present()),
        (State::Unreadable, _) => Err(Error::State { path: path.to_owned(), scan: Box::new(scan.clone()) }),
        _ if request.force => fresh(Effect::Replacement),
        // Where even a change would be refused, that is what a person has to know first.
        (State::Valid, _) => match card.choose(&request.at, false, path) {
            Ok(_) => Err(present()),
            Err(why) => Err(Error::NotReady {
                path: path.to_owned(),
                scan: Box::new(scan.clone()),
                why: Box::new(why),
            }),
        },
        _ => Err(present()),
    }
}

/// Whether a valid copy of this identity is on the card.
fn has(scan: &Scan, uuid: Uuid) -> bool {
    scan.valid().any(|(_, identity, _)| identity.uuid() == uuid)
}

/// The next generation, with the values that are named.
fn update(request: &Request, latest: &Identity) -> Result<Identity> {
    let mut draft = latest.next().map_err(Error::Generation)?;
    request.values.put_into(&mut draft)?;
    let identity = draft.finish().map_err(Error::Value)?;
    request.values.check_macs(&identity)?;
    Ok(identity)
}

fn bind(
    request: &Request,
    identity: Identity,
    surroundings: &Surroundings,
) -> Result<(Identity, Option<&'static str>)> {
    match surroundings.card {
        _ if !request.bind => Ok((identity, None)),
        Err(reason) => Ok((identity, Some(reason))),
        Ok(cid) => {
            let mut draft = identity.draft();
            draft.set_card(*cid.bytes()).map_err(Error::Value)?;
            Ok((draft.finish().map_err(Error::Value)?, None))
        }
    }
}
