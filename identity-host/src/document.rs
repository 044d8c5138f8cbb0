// SPDX-License-Identifier: MIT OR Apache-2.0
//! An identity as a document: the JSON that `read` and `stamp` print, and that `stamp --restore` takes.

use std::collections::BTreeMap;
use std::fmt;

use identity_core::field::kind;
use identity_core::identity::{DraftError, MacSource};
#[cfg(feature = "stamp")]
use identity_core::slot::reading_position;
use identity_core::{Draft, Identity, Mac, State, Uuid, derive};
use identity_layout::mark::Mark;
use serde::{Deserialize, Serialize};

use crate::device::Cid;
use crate::hex;
#[cfg(feature = "stamp")]
use crate::plan::{Plan, Step};
use crate::scan::{Scan, ScannedSector};

/// What is on a card, or would be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// The card's state; also `planned` and `recorded`, away from a card.
    pub state: String,
    /// UUID as lower-case text.
    pub uuid: Option<String>,
    /// Name of the board's role.
    pub profile: Option<String>,
    /// Hostname, if the identity has one.
    pub hostname: Option<String>,
    /// Board serial, if the identity has one.
    pub serial: Option<String>,
    /// How often the identity has been written.
    pub generation: Option<u32>,
    /// Interface 0, every interface with an assigned address, and as many more as were asked for.
    pub macs: Vec<MacAddress>,
    /// Machine-id, 32 hexadecimal digits.
    pub machine_id: Option<String>,
    /// Values of the variables, by key.
    pub variables: BTreeMap<String, String>,
    /// What the identity is bound to.
    pub bindings: Option<Bindings>,
    /// Fields that this version skips.
    pub unknown: Option<Vec<UnknownField>>,
    /// The copies, in reading order.
    #[serde(default)]
    pub copies: Vec<CopyState>,
    /// Name of the image of an unfinished flash.
    #[serde(default)]
    pub unfinished: Option<String>,
}

/// MAC address of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MacAddress {
    /// The *i* of `ethernet<i>`, as the bootloader and the device tree count.
    pub index: u32,
    /// Six pairs of hexadecimal digits, joined by colons.
    pub address: String,
    /// Where it comes from.
    pub source: Source,
}

/// Where a MAC address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Computed from the identity's UUID.
    Derived,
    /// Stored in the identity by a person.
    Assigned,
}

/// What an identity is bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bindings {
    /// CID in hexadecimal digits, its checksum zero.
    pub card: Option<String>,
    /// Board serial or SoC id.
    pub board: Option<String>,
}

/// A field that this version skips.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownField {
    /// Type number of the field.
    pub r#type: u8,
    /// Its value in hexadecimal digits.
    pub hex: String,
}

/// Place and condition of one copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyState {
    /// LBA of the sector.
    pub lba: u32,
    /// Its condition; `other`, `older` or `planned`.
    pub state: String,
}

/// Why a document gives no whole identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentProblem {
    /// Without this key something would be lost.
    Missing(&'static str),
    /// The value of this key cannot be read.
    Syntax(&'static str),
    /// A value breaks its field's rule.
    Value(DraftError),
    /// The value of this key is derived, and not from this UUID.
    Derived(&'static str),
    /// Of a card with two identities, or a copy of a later version, this is not all.
    State(String),
}

impl Document {
    /// Of what was found on a card; with the addresses of the first `interfaces` interfaces.
    pub fn of_scan(scan: &Scan, mark: Option<&Mark>, interfaces: u32) -> Self {
        let copy =
            |sector: &ScannedSector| CopyState { lba: sector.lba, state: scan.label(sector).to_owned() };
        let copies = scan.pair().into_iter().map(copy).collect();
        let unfinished = mark.map(|mark| mark.image().to_owned());
        let document = match scan.identity() {
            Some(identity) => Self::of_identity(identity, scan.state().name().to_owned(), interfaces),
            None => Self::of_state(scan.state()),
        };
        Self { copies, unfinished, ..document }
    }

    /// Of an identity that a plan would write.
    #[cfg(feature = "stamp")]
    pub fn of_planned(identity: &Identity, plan: &Plan) -> Self {
        let written = plan.steps.iter().filter(|step| matches!(step, Step::Write { .. }));
        let copy = |step: &Step| CopyState { lba: step.lba(), state: "planned".into() };
        let mut copies: Vec<_> = written.map(copy).collect();
        copies.sort_by_key(|copy| reading_position(copy.lba));
        Self { copies, ..Self::of_identity(identity, "planned".into(), 0) }
    }

    /// Of an identity in a record, away from any card.
    pub fn of_recorded(identity: &Identity) -> Self {
        Self::of_identity(identity, "recorded".into(), 0)
    }

    fn of_identity(identity: &Identity, state: String, interfaces: u32) -> Self {
        let fields = identity.fields();
        let text = |kind| fields.text(kind).map(str::to_owned);
        let mut indexes: Vec<u32> = (0..interfaces.max(1)).collect();
        indexes.extend(
            fields.macs().map(|(index, _)| u32::from(index)).filter(|&index| index >= interfaces.max(1)),
        );
        let unknown = fields.iter().filter(|field| identity_core::field::name(field.kind).is_none());
        let unknown = unknown.map(|field| UnknownField { r#type: field.kind, hex: hex::encode(field.value) });
        Self {
            state,
            uuid: Some(identity.uuid().to_string()),
            profile: text(kind::PROFILE),
            hostname: text(kind::HOSTNAME),
            serial: text(kind::SERIAL),
            generation: Some(identity.generation()),
            macs: indexes.into_iter().map(|index| MacAddress::new(index, identity.mac(index))).collect(),
            machine_id: Some(machine_id(identity.uuid())),
            variables: fields.variables().map(|(key, value)| (key.into(), value.into())).collect(),
            bindings: Some(Bindings {
                card: fields.card().map(|cid| Cid::new(cid).to_string()),
                board: text(kind::BOARD),
            }),
            unknown: Some(unknown.collect()),
            copies: Vec::new(),
            unfinished: None,
        }
    }

    /// Of a state, and nothing else.
    pub fn of_state(state: State) -> Self {
        Self {
            state: state.name().to_owned(),
            uuid: None,
            profile: None,
            hostname: None,
            serial: None,
            generation: None,
            macs: Vec::new(),
            machine_id: None,
            variables: BTreeMap::new(),
            bindings: Some(Bindings::default()),
            unknown: Some(Vec::new()),
            copies: Vec::new(),
            unfinished: None,
        }
    }

    /// The identity that this document describes, whole.
    ///
    /// # Errors
    /// What is missing, or wrong.
    pub fn identity(&self) -> Result<Identity, DocumentProblem> {
        use DocumentProblem::{Derived, Missing, Syntax, Value};
        if [State::Conflict, State::Newer].iter().any(|state| state.name() == self.state) {
            return Err(DocumentProblem::State(self.state.clone()));
        }
        let uuid = self.uuid.as_ref().ok_or(Missing("uuid"))?;
        let uuid = Uuid::try_parse(uuid).map_err(|_| Syntax("uuid"))?;
        let mut draft = Draft::new(uuid).map_err(Value)?;
        draft.set_generation(self.generation.ok_or(Missing("generation"))?);
        let bindings = self.bindings.as_ref().ok_or(Missing("bindings"))?;
        for (kind, text) in [
            (kind::PROFILE, &self.profile),
            (kind::HOSTNAME, &self.hostname),
            (kind::SERIAL, &self.serial),
            (kind::BOARD, &bindings.board),
        ] {
            if let Some(text) = text {
                draft.set_text(kind, text).map_err(Value)?;
            }
        }
        for mac in self.macs.iter().filter(|mac| mac.source == Source::Assigned) {
            let index = u8::try_from(mac.index).map_err(|_| Syntax("macs"))?;
            let address: Mac = mac.address.parse().map_err(|_| Syntax("macs"))?;
            draft.set_mac(index, address).map_err(Value)?;
        }
        for (key, value) in &self.variables {
            draft.set_variable(key, value).map_err(Value)?;
        }
        if let Some(card) = &bindings.card {
            let cid: Cid = card.parse().map_err(|_| Syntax("bindings"))?;
            draft.set_card(*cid.bytes()).map_err(Value)?;
        }
        for field in self.unknown.as_ref().ok_or(Missing("unknown"))? {
            let value = hex::decode(&field.hex).ok_or(Syntax("unknown"))?;
            draft.add_unknown(field.r#type, &value).map_err(Value)?;
        }
        let identity = draft.finish().map_err(Value)?;
        // Whoever has changed the UUID alone would get other values than stand here.
        let is_derived = |mac: &&MacAddress| mac.source == Source::Derived;
        if self.macs.iter().filter(is_derived).any(|mac| identity.mac(mac.index).0.to_string() != mac.address)
        {
            return Err(Derived("macs"));
        }
        if self.machine_id.as_ref().is_some_and(|id| *id != machine_id(uuid)) {
            return Err(Derived("machine_id"));
        }
        Ok(identity)
    }
}

impl MacAddress {
    /// Of an address and where it comes from.
    pub fn new(index: u32, (mac, source): (Mac, MacSource)) -> Self {
        let source = match source {
            MacSource::Derived => Source::Derived,
            MacSource::Assigned => Source::Assigned,
        };
        Self { index, address: mac.to_string(), source }
    }
}

impl fmt::Display for DocumentProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(key) => write!(f, "{key} is missing"),
            Self::Syntax(key) => write!(f, "{key} cannot be read"),
            Self::Value(error) => error.fmt(f),
            Self::Derived(key) => {
                write!(f, "{key} and uuid do not belong together: one of them was changed by hand")
            }
            Self::State(state) => {
                write!(
                    f,
                    "the card's state was {state}, and there is more on it than this; repair that card, and read it again"
                )
            }
        }
    }
}

/// The machine-id as 32 hexadecimal digits.
pub fn machine_id(uuid: Uuid) -> String {
    derive::machine_id(uuid).simple().to_string()
}

/// What a dry run shows.
#[cfg(feature = "stamp")]
#[derive(Clone, Debug, Serialize)]
pub struct Planned {
    /// The identity as it is, or as it would be.
    #[serde(flatten)]
    pub document: Document,
    /// What would be written, in that order.
    pub steps: Vec<PlannedStep>,
}

/// One step of a plan.
#[cfg(feature = "stamp")]
#[derive(Clone, Debug, Serialize)]
pub struct PlannedStep {
    /// LBA of the sector.
    pub lba: u32,
    /// `copy`, `zeros`, or `mark`.
    pub write: &'static str,
    /// Whether it lies behind the start of a partition.
    pub in_partition: bool,
}

#[cfg(feature = "stamp")]
impl Planned {
    /// Of an identity and what would be done.
    pub fn new(document: Document, plan: &Plan) -> Self {
        let step = |step: &Step| PlannedStep {
            lba: step.lba(),
            write: match step {
                Step::Write { .. } => "copy",
                Step::Clear { .. } | Step::ClearInPartition { .. } => "zeros",
                Step::WriteMark { .. } => "mark",
            },
            in_partition: matches!(step, Step::ClearInPartition { .. }),
        };
        Self { document, steps: plan.steps.iter().map(step).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_gives_back_the_identity_to_the_last_field() {
        let mut draft = Draft::new(Uuid::from_u128(7)).unwrap();
        draft.set_text(kind::PROFILE, "panda").unwrap();
        draft.set_text(kind::HOSTNAME, "panda-07").unwrap();
        draft.set_text(kind::SERIAL, "S1").unwrap();
        draft.set_text(kind::BOARD, "B1").unwrap();
        draft.set_mac(3, "00:00:5e:00:53:07".parse().unwrap()).unwrap();
        draft.set_variable("console", "ttyO2 'x'").unwrap();
        draft.set_card([7; 16]).unwrap();
        draft.add_unknown(0x40, b"new").unwrap();
        draft.add_unknown(0x40, b"").unwrap();
        draft.add_unknown(0x7f, &[0xff]).unwrap();
        draft.set_generation(9);
        let identity = draft.finish().unwrap();
        for interfaces in [0, 8] {
            let document = Document::of_identity(&identity, "valid".into(), interfaces);
            let text = serde_json::to_string(&document).unwrap();
            let read: Document = serde_json::from_str(&text).unwrap();
            assert_eq!((read.clone(), read.identity()), (document, Ok(identity.clone())));
        }
        let whole = serde_json::to_value(Document::of_recorded(&identity)).unwrap();
        for key in ["bindings", "unknown", "uuid", "generation"] {
            let mut less = whole.clone();
            less.as_object_mut().unwrap().remove(key);
            let read: Document = serde_json::from_value(less).unwrap();
            assert_eq!(read.identity(), Err(DocumentProblem::Missing(key)));
        }
    }
}
