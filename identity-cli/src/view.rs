// SPDX-License-Identifier: MIT OR Apache-2.0
//! An identity as it is shown: the same values in every format.

use std::collections::BTreeMap;

use identity_core::field::kind;
use identity_core::identity::MacSource;
use identity_core::slot::reading_position;
use identity_core::{Identity, State, Uuid, derive};
use serde::Serialize;

use crate::device::Cid;
use crate::plan::{Plan, Step};
use crate::survey::Survey;

/// What `read` and `stamp` show.
#[derive(Clone, Debug, Serialize)]
pub struct View {
    /// The card's state.
    pub state: String,
    /// UUID.
    pub uuid: Option<String>,
    /// Profile.
    pub profile: Option<String>,
    /// Hostname.
    pub hostname: Option<String>,
    /// Board serial.
    pub serial: Option<String>,
    /// Number of writes.
    pub generation: Option<u32>,
    /// Interface 0 and every interface with an assigned address.
    pub macs: Vec<MacView>,
    /// Machine-id.
    pub machine_id: Option<String>,
    /// Variables.
    pub variables: BTreeMap<String, String>,
    /// What the identity is bound to.
    pub bindings: Bindings,
    /// The copies.
    pub copies: Vec<CopyView>,
}

/// A MAC address.
#[derive(Clone, Debug, Serialize)]
pub struct MacView {
    /// `ethernet<index>` of the bootloader and the device tree.
    pub index: u32,
    /// Six hex pairs.
    pub address: String,
    /// `derived` or `assigned`.
    pub source: &'static str,
}

/// What an identity is bound to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Bindings {
    /// CID in hex, its CRC byte zero.
    pub card: Option<String>,
    /// Board serial or SoC id.
    pub board: Option<String>,
}

/// A copy, or any other sector that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct CopyView {
    /// Where.
    pub lba: u32,
    /// Its condition.
    pub state: &'static str,
}

/// What a dry run shows.
#[derive(Clone, Debug, Serialize)]
pub struct Planned {
    /// The identity as it is, or as it would be.
    #[serde(flatten)]
    pub view: View,
    /// What would be written, in that order.
    pub steps: Vec<StepView>,
}

/// One write.
#[derive(Clone, Debug, Serialize)]
pub struct StepView {
    /// Where.
    pub lba: u32,
    /// `copy` or `zeros`.
    pub write: &'static str,
}

impl Planned {
    /// Of an identity and what would be done; `None` for nothing.
    pub fn of(view: View, plan: Option<&Plan>) -> Self {
        let step = |step: &Step| StepView {
            lba: step.lba(),
            write: match step {
                Step::Write { .. } => "copy",
                Step::Clear { .. } => "zeros",
            },
        };
        let steps = plan.map_or_else(Vec::new, |plan| plan.steps.iter().map(step).collect());
        Self { view, steps }
    }
}

impl View {
    /// Of what was found on a card.
    pub fn of(survey: &Survey) -> Self {
        let pair = survey.pair();
        let copies =
            pair.into_iter().map(|found| CopyView { lba: found.lba, state: survey.label(found) }).collect();
        match survey.identity() {
            Some(identity) => Self::of_identity(identity, survey.state().name().to_owned(), copies),
            None => Self { copies, ..Self::of_state(survey.state()) },
        }
    }

    /// Of an identity that a plan would write.
    pub fn of_planned(identity: &Identity, plan: &Plan) -> Self {
        let written = plan.steps.iter().filter(|step| matches!(step, Step::Write { .. }));
        let mut copies: Vec<_> = written.map(|step| CopyView { lba: step.lba(), state: "planned" }).collect();
        copies.sort_by_key(|copy| reading_position(copy.lba));
        Self::of_identity(identity, "planned".into(), copies)
    }

    /// Of an identity in a record, away from any card.
    pub fn of_recorded(identity: &Identity) -> Self {
        Self::of_identity(identity, "recorded".into(), Vec::new())
    }

    fn of_identity(identity: &Identity, state: String, copies: Vec<CopyView>) -> Self {
        let fields = identity.fields();
        let text = |kind| fields.text(kind).map(str::to_owned);
        let mut indexes: Vec<u32> = fields.macs().map(|(index, _)| index.into()).collect();
        if !indexes.contains(&0) {
            indexes.insert(0, 0);
        }
        Self {
            state,
            uuid: Some(identity.uuid().to_string()),
            profile: text(kind::PROFILE),
            hostname: text(kind::HOSTNAME),
            serial: text(kind::SERIAL),
            generation: Some(identity.generation()),
            macs: indexes.into_iter().map(|index| MacView::of(index, identity.mac(index))).collect(),
            machine_id: Some(machine_id(identity.uuid())),
            variables: fields.variables().map(|(key, value)| (key.into(), value.into())).collect(),
            bindings: Bindings {
                card: fields.card().map(|cid| Cid::new(cid).to_string()),
                board: text(kind::BOARD),
            },
            copies,
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
            bindings: Bindings::default(),
            copies: Vec::new(),
        }
    }
}

impl MacView {
    /// Of an address and where it comes from.
    pub fn of(index: u32, (mac, source): (identity_core::Mac, MacSource)) -> Self {
        let source = match source {
            MacSource::Derived => "derived",
            MacSource::Assigned => "assigned",
        };
        Self { index, address: mac.to_string(), source }
    }
}

/// The machine-id as 32 hex digits.
pub fn machine_id(uuid: Uuid) -> String {
    derive::machine_id(uuid).simple().to_string()
}
