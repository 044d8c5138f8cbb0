// SPDX-License-Identifier: MIT OR Apache-2.0
//! A flash: what is going to happen, and what has.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use identity_host::device::info::DeviceInfo;
use identity_host::document::Document;
use identity_host::flash::choice::Choice;
use identity_host::flash::leftover::Leftover;
use identity_host::flash::plan::{FlashPlan, LAST_SECTORS};
use identity_host::flash::prepare::Interrupted;
use identity_host::flash::write::Summary;
use identity_host::image::source::STANDARD_INPUT;
use identity_host::record::Record;
use identity_ui::lines::{Lines, escaped};
use identity_ui::size::Size;
use identity_ui::{shell, wording};

use super::text;

/// What is known before anything is written.
pub struct FlashSummary<'a> {
    /// The image's path, as it was given.
    pub image: &'a Path,
    /// How it is packed.
    pub format: &'static str,
    /// Its length as distributed.
    pub file_len: Option<u64>,
    /// Length of the unpacked image in bytes, where it is known.
    pub image_len: Option<u64>,
    /// The block map of the image.
    pub bmap: Option<&'a Path>,
    /// What of it holds anything, by its block map.
    pub mapped_len: Option<u64>,
    /// Device or image file that is written.
    pub target: &'a Path,
    /// Length of the target in bytes.
    pub target_len: u64,
    /// What the kernel knows of it, if it is a block device.
    pub device: Option<&'a DeviceInfo>,
    /// The flash of this card that was not finished.
    pub interrupted: Option<&'a Interrupted>,
    /// Where copies of an identity were in the image.
    pub blanked: &'a [u32],
    /// What becomes of the identity.
    pub plan: &'a FlashPlan,
}

/// For people, before they say yes.
pub fn facts(facts: &FlashSummary<'_>) -> String {
    let mut lines = Lines::default();
    let mut image = format!("{} ({}", wording::image_name(facts.image), facts.format);
    if let (Some(len), true) = (facts.file_len, facts.format != "raw") {
        image.push_str(&format!(", {}", Size(len)));
    }
    if let Some(len) = facts.image_len {
        image.push_str(&format!(", {} to write", Size(facts.mapped_len.unwrap_or(len))));
    }
    lines.add("image", image + ")");
    if let Some(path) = facts.bmap {
        lines.add(
            "block map",
            format!("{}; what it leaves out stays as it is on the card", shell::path(path)),
        );
    }
    lines.add("target", shell::path(facts.target));
    if let Some(device) = facts.device {
        let removable = if device.removable { ", removable" } else { "" };
        let model = device.model.as_deref().unwrap_or("no vendor or model");
        lines.add("device", format!("{model}{removable}"));
        lines.add_some("cid", device.cid.map(|cid| cid.to_string()).as_ref());
    }
    lines.add("size", format!("{} ({} bytes)", Size(facts.target_len), facts.target_len));
    if let Some(device) = facts.device {
        let partition = |(name, sectors): &(String, u64)| format!("{name} {}", Size(sectors * 512));
        let partitions: Vec<_> = device.partitions.iter().map(partition).collect();
        let none = || "the kernel lists none of this device".into();
        let partitions = if partitions.is_empty() { none() } else { partitions.join(", ") };
        lines.add("partitions", partitions);
    }
    lines.add_some("unfinished", facts.interrupted.map(interrupted).as_ref());
    lines.add("identity", identity(facts.plan));
    if !facts.blanked.is_empty() {
        lines.add(
            "in the image",
            format!(
                "an identity at LBA {}, left out; --restore IMAGE gives it to the card",
                list(facts.blanked)
            ),
        );
    }
    lines.text()
}

/// That a flash of this card was not finished, and what becomes of it.
fn interrupted(flash: &Interrupted) -> String {
    let this = if flash.is_same_name { "an image of the same name" } else { "another image" };
    format!("a flash of {} was not finished; this one finishes the card, with {this}", escaped(&flash.image))
}

fn identity(plan: &FlashPlan) -> String {
    let Some(identity) = plan.choice.identity() else {
        return "none; --profile NAME gives the card one".into();
    };
    let name = match identity.hostname() {
        Some(hostname) => format!("{} {hostname} ({})", identity.uuid(), identity.profile()),
        None => format!("{} ({})", identity.uuid(), identity.profile()),
    };
    let verb = match &plan.choice {
        Choice::New(_) => "a new one",
        Choice::Restore(..) => "restored from the record",
        _ if plan.given_up.is_some() => "LOST: there is no place for it",
        _ if plan.copies.steps.is_empty() => "kept",
        _ => "kept, moved",
    };
    let places = if plan.kept.is_empty() { String::new() } else { format!(", at LBA {}", list(&plan.kept)) };
    format!("{name}, {verb}{places}")
}

fn list(lbas: &[u32]) -> String {
    lbas.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

/// For people, instead of doing it.
pub fn plan(known: &FlashSummary<'_>) -> String {
    let mut text = facts(known);
    text.push_str("would write, in this order:\n");
    if known.plan.identity.is_some() {
        text.push_str("  a record of the identity on this host\n");
    }
    text.push_str("  LBA 0      the mark of an unfinished card\n");
    for step in &known.plan.copies.steps {
        text.push_str(&text::step(step));
    }
    text.push_str(&format!(
        "  LBA {LAST_SECTORS:<6} and everything behind it, around the copies; then all is read back\n"
    ));
    for leftover in &known.plan.leftovers {
        let what = wording::leftover(leftover);
        text.push_str(&format!(
            "  LBA {:<6} zeros, unless the image reaches it: it holds {what}\n",
            leftover.sectors.start
        ));
    }
    text.push_str(&format!("  LBA 1–{:<4} around the copies\n", LAST_SECTORS - 1));
    text.push_str("  LBA 0      the image's first sector, in place of the mark\n");
    if !known.plan.copies.steps.is_empty() {
        text.push_str(&text::slots(&known.plan.copies));
    }
    text.push_str("nothing was written\n");
    text
}

/// For programs, instead of doing it.
#[derive(Serialize)]
pub struct Planned<'a> {
    event: &'static str,
    image: String,
    format: &'static str,
    file_bytes: Option<u64>,
    image_bytes: Option<u64>,
    bmap: Option<String>,
    mapped_bytes: Option<u64>,
    target: String,
    target_bytes: u64,
    action: &'static str,
    /// The image of the flash that was not finished.
    unfinished: Option<String>,
    /// Whether this image has the same name; null where no flash was interrupted.
    same_name: Option<bool>,
    identity: Option<Document>,
    places: &'a [u32],
    why: Option<String>,
    left_out: &'a [u32],
    cleared: &'a [Leftover],
    given_up: Option<String>,
}

/// An image's path in JSON.
pub fn in_json(image: &Path) -> String {
    if image == Path::new(STANDARD_INPUT) { "standard input".into() } else { image.display().to_string() }
}

fn path_as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// JSON has text alone: of a path that is no UTF-8, what can be shown.
fn as_text<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.display().to_string()).serialize(serializer)
}

/// The plan as data.
pub fn planned<'a>(facts: &FlashSummary<'a>) -> Planned<'a> {
    let plan = facts.plan;
    Planned {
        event: "plan",
        image: in_json(facts.image),
        format: facts.format,
        file_bytes: facts.file_len,
        image_bytes: facts.image_len,
        bmap: facts.bmap.map(in_json),
        mapped_bytes: facts.mapped_len,
        target: facts.target.display().to_string(),
        target_bytes: facts.target_len,
        action: match (&plan.choice, &plan.given_up) {
            (Choice::None, _) => "none",
            (_, Some(_)) => "lose",
            (Choice::Keep(_), _) => "keep",
            (Choice::Restore(..), _) => "restore",
            (Choice::New(_), _) => "new",
        },
        unfinished: facts.interrupted.map(|flash| flash.image.clone()),
        same_name: facts.interrupted.map(|flash| flash.is_same_name),
        identity: plan.identity.as_ref().map(|identity| Document::of_planned(identity, &plan.copies)),
        places: &plan.kept,
        why: plan.copies.why.map(wording::why),
        left_out: facts.blanked,
        cleared: &plan.leftovers,
        given_up: plan.given_up.as_deref().map(wording::error),
    }
}

/// What is shown of a finished flash.
#[derive(Serialize)]
pub struct Outcome<'a> {
    /// The image's path, as it was given.
    pub image: String,
    /// Device or image file that is written.
    #[serde(serialize_with = "path_as_text")]
    pub target: &'a Path,
    /// Lengths in bytes, and the time in seconds.
    #[serde(flatten)]
    pub summary: &'a Summary,
    /// The image's block map.
    pub bmap: Option<String>,
    /// Bytes that were written by it.
    pub mapped_bytes: Option<u64>,
    /// The SHA-256 of the image as distributed, if it was compared.
    pub sha256: Option<String>,
    /// The file that it is from.
    pub sha256_file: Option<String>,
    /// Whether everything was read back.
    pub verified: bool,
    /// LBAs where the image has copies of an identity, which were left out.
    pub left_out: &'a [u32],
    /// The identity on it.
    pub identity: Option<Document>,
    /// Why it is where it is.
    pub why: Option<String>,
    /// LBAs where the image holds data, and the card a copy of the identity.
    pub covered: Vec<u32>,
    /// Whether the image leaves no place for an identity.
    #[serde(skip)]
    pub no_place: bool,
    /// Identities that it had, and has no more.
    pub replaced: Vec<Replaced>,
}

/// An identity that the card had, and has no more.
#[derive(Serialize)]
pub struct Replaced {
    uuid: String,
    profile: String,
    /// Where it is kept; `None` where it was printed.
    #[serde(serialize_with = "as_text")]
    record: Option<PathBuf>,
}

impl Replaced {
    /// Of a record and its file; `None` for a record of damaged copies alone.
    pub fn new((record, file): (&Record, &Option<PathBuf>)) -> Option<Self> {
        let identity = record.identity.as_ref()?;
        let (uuid, profile) = (identity.uuid().to_string(), identity.profile().to_owned());
        Some(Self { uuid, profile, record: file.clone() })
    }
}

/// For programs, when it is done.
#[derive(Serialize)]
pub struct Done<'a> {
    event: &'static str,
    #[serde(flatten)]
    outcome: Outcome<'a>,
}

/// The result as data.
pub fn done(outcome: Outcome<'_>) -> Done<'_> {
    Done { event: "done", outcome }
}

/// For people, when it is done.
pub fn finished(outcome: &Outcome<'_>) -> String {
    let Summary { image_len, write_time, .. } = outcome.summary;
    let seconds = write_time.as_secs_f64();
    let written = outcome.mapped_bytes.unwrap_or(*image_len);
    let rate = Size((written as f64 / seconds.max(0.001)) as u64);
    let but = if outcome.covered.is_empty() {
        String::new()
    } else {
        format!(" but for LBA {}, where a copy of the identity is", list(&outcome.covered))
    };
    let proof =
        if outcome.verified { format!("read back and the same{but}") } else { format!("not read back{but}") };
    let sum = match (&outcome.sha256, &outcome.sha256_file) {
        (Some(_), Some(file)) => format!(", SHA-256 as in {}", shell::path(Path::new(file))),
        (Some(_), None) => ", SHA-256 as given".to_owned(),
        (None, _) => String::new(),
    };
    let target = shell::path(outcome.target);
    let by = match &outcome.bmap {
        Some(path) => format!(" of {}, by the block map {},", Size(*image_len), shell::path(Path::new(path))),
        None => String::new(),
    };
    let mut text =
        format!("flashed {target}: {}{by} in {seconds:.1} s ({rate}/s), {proof}{sum}\n", Size(written));
    if let Some(identity) = &outcome.identity {
        text.push_str(&text::identity(identity));
        if let Some(why) = &outcome.why {
            text.push_str(&format!("slots: {why}\n"));
        }
        if !outcome.left_out.is_empty() {
            let lbas = list(outcome.left_out);
            text.push_str(&format!("in the image: an identity at LBA {lbas}, left out\n"));
        }
    } else if outcome.no_place {
        text.push_str("the card has no identity, for the image leaves no place for one\n");
    } else if !outcome.left_out.is_empty() {
        let image = shell::path(Path::new(&outcome.image));
        text.push_str(&format!(
            "the card has no identity: that of the image was left out; if the image is made for this card alone, `identity stamp \
             --restore {image} {target}` gives it to the card\n"
        ));
    } else if outcome.replaced.is_empty() {
        text.push_str(&format!(
            "the card has no identity; give it one with `identity stamp --profile NAME {target}`\n"
        ));
    }
    for Replaced { uuid, profile, record } in &outcome.replaced {
        let place = match record {
            Some(record) => format!("kept in {}", shell::path(record)),
            None => "kept in the line above".into(),
        };
        text.push_str(&format!("the card no longer has the identity {uuid} ({profile}), which is {place}\n"));
    }
    text
}
