// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab stamp`: a batch of boards, each with its card, one after another or in several readers at once.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use identity_host::attached::{Content, Device};
use identity_host::device::info::DeviceInfo;
use identity_host::device::plain;
use identity_host::document::Document;
use identity_ui::confirm::{self, Reply};
use identity_ui::output::{json_line, print, say};
use identity_ui::{Exit, Failure, Result, shell, wording};
use serde::Serialize;
use serde_json::Value;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tempfile::NamedTempFile;

use super::selected;
use crate::args::{Format, StampArgs};
use crate::batch::{Batch, Progress, Verdict, is_done};
use crate::digest;
use crate::identity_program::{self, Answer};
use crate::journal::{Event, Journal, Kind as What};
use crate::lab::Lab;
use crate::readers::{Medium, chosen, device, facts, medium};

/// How often a reader is looked at. The kernel knows of a card after about a second.
const TICK: Duration = Duration::from_millis(200);

/// What `--format json` prints of each card, a line each.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    board: Option<&'a str>,
    device: &'a Path,
    message: Option<&'a str>,
}

/// A reader of the batch.
struct Reader {
    path: PathBuf,
    state: ReaderState,
}

enum ReaderState {
    /// There is no card in it, or none that was looked at.
    Waiting {
        /// Whether a person was told that a card is wanted.
        is_told: bool,
    },
    /// A card is written.
    Working { board: usize, medium: Medium, info: Box<DeviceInfo>, writer: JoinHandle<Result<Answer>> },
    /// Its card is done with, and is to be taken out.
    Spent(Medium),
}

/// Runs the verb.
///
/// # Errors
/// Exit 2 if a board or a reader is not there; 4 if a file of the lab cannot be read; 6 without anybody to ask.
pub fn run(dir: &Path, args: &StampArgs) -> Result<Exit> {
    let lab = Lab::read(dir)?;
    lab.boards.check_clashes()?;
    let (names, named) = args.names_and_readers();
    let boards = match names[..] {
        [] => lab.boards.sorted(),
        _ => selected(&lab, &names)?,
    };
    for board in &boards {
        lab.profile_of(board)?;
        board.identity()?;
    }
    if boards.is_empty() {
        return Err(Failure::usage("the lab has no board; `identity-lab add` adds some"));
    }
    let reader = |path| Reader { path, state: ReaderState::Waiting { is_told: false } };
    let readers: Vec<_> = chosen(&named)?.into_iter().map(reader).collect();
    let is_asked = !args.yes && !args.dry_run;
    if is_asked && !confirm::can_ask() {
        return Err(Failure::refused(
            "there is nobody to ask at a terminal; --yes stamps whatever blank card comes",
        ));
    }
    let journal = lab.journal();
    let mut batch = Batch::new(boards, &lab.boards.all);
    if !args.again {
        leave_out_done(&mut batch, &journal, args.flash.is_some());
    }
    if args.dry_run {
        return planned(&batch, &readers, args);
    }
    let digest = args.flash.as_deref().map(digest::begin).transpose()?;
    let mut session = Session { args, batch, journal, readers, ended: ended()?, digest, is_ended: false };
    session.run()
}

struct Session<'a> {
    args: &'a StampArgs,
    batch: Batch<'a>,
    journal: Journal,
    readers: Vec<Reader>,
    /// A signal has asked to end.
    ended: Arc<AtomicBool>,
    /// SHA-256 of the image, which is computed meanwhile.
    digest: Option<JoinHandle<Option<String>>>,
    /// A person has asked to end.
    is_ended: bool,
}

impl Session<'_> {
    fn run(&mut self) -> Result<Exit> {
        let mut sha256 = None;
        loop {
            let is_over = self.is_ended || self.ended.load(Ordering::Relaxed) || self.batch.left().is_empty();
            for index in 0..self.readers.len() {
                self.look_at(index, is_over, &mut sha256)?;
            }
            let is_working =
                self.readers.iter().any(|reader| matches!(reader.state, ReaderState::Working { .. }));
            if is_over && !is_working {
                break;
            }
            thread::sleep(TICK);
        }
        self.finish()
    }

    fn finish(&self) -> Result<Exit> {
        let left = self.batch.left();
        let total = self.batch.len();
        let (Some(first), Some(last)) = (left.first(), left.last()) else {
            say(&format!(
                "{} done",
                if total == 1 { "the board is".to_owned() } else { format!("all {total} boards are") }
            ));
            return Ok(Exit::Done);
        };
        let names = if left.len() == 1 {
            first.hostname.clone()
        } else {
            format!("{} to {}", first.hostname, last.hostname)
        };
        say(&format!(
            "{} of {total} boards are done, {} left: {names}; the same command goes on",
            total - left.len(),
            left.len()
        ));
        Ok(if self.ended.load(Ordering::Relaxed) { Exit::Interrupted } else { Exit::Doubtful })
    }

    fn look_at(&mut self, index: usize, is_over: bool, sha256: &mut Option<String>) -> Result<()> {
        let reader = &mut self.readers[index];
        let medium = medium(&reader.path);
        match &mut reader.state {
            ReaderState::Working { writer, .. } if writer.is_finished() => self.done(index, sha256),
            ReaderState::Working { .. } => Ok(()),
            ReaderState::Spent(before) => {
                if *before != medium {
                    reader.state = ReaderState::Waiting { is_told: false };
                }
                Ok(())
            }
            ReaderState::Waiting { .. } if is_over => Ok(()),
            ReaderState::Waiting { is_told } => match medium {
                Some(medium) => self.judge(index, Some(medium)),
                None if *is_told => Ok(()),
                None => {
                    *is_told = true;
                    self.ask_for_card(index);
                    Ok(())
                }
            },
        }
    }

    fn ask_for_card(&self, index: usize) {
        let Some(number) = self.batch.next() else { return };
        let name = &self.batch.board(number).hostname;
        let shown = shell::path(&self.readers[index].path);
        say(&format!("board {} of {}: {name}; insert a card into {shown}", number + 1, self.batch.len()));
    }

    /// A card has come: whose is it?
    fn judge(&mut self, index: usize, medium: Medium) -> Result<()> {
        let path = self.readers[index].path.clone();
        let Some(device) = device(&path) else { return Ok(()) };
        let (verdict, held) = match device.look(None) {
            Content::Empty => return Ok(()),
            Content::Failed(error) => (Verdict::Refused(wording::error(&error)), None),
            Content::Seen(target, scan) => {
                // Nothing may hold the device that is written next.
                drop(target);
                let words = wording::state(&scan, &path);
                let verdict = self.batch.judge(&scan, words, self.args.flash.is_some());
                if let Verdict::Whole(_) = verdict {
                    self.journal.note(&[Event::scanned(&device, &scan)])?;
                }
                (verdict, scan.identity().cloned())
            }
        };
        let spent = ReaderState::Spent(medium.clone());
        match verdict {
            Verdict::NobodyLeft => self.readers[index].state = spent,
            Verdict::Refused(what) => {
                let what = if what.starts_with("has ") || what.starts_with("is ") {
                    format!("{} {what}", shell::path(&path))
                } else {
                    what
                };
                self.tell("refused", None, index, Some(&format!("{what}; take another card")))?;
                self.readers[index].state = spent;
            }
            Verdict::Whole(number) => {
                self.batch.set(number, Progress::Done);
                let name = &self.batch.board(number).hostname;
                self.tell("done", Some(name), index, Some("this is its card already"))?;
                self.readers[index].state = spent;
            }
            Verdict::Stamp(number) => {
                let board = self.batch.board(number);
                let held = held.filter(|identity| identity.uuid() == board.uuid);
                let words = identity_program::stamp(board, &path, held.as_ref());
                let plan = match self.args.flash {
                    // Whether it can be written is seen when it is: the image decides where the copies go.
                    Some(_) => None,
                    None => {
                        let answer = identity_program::run(&with_dry_run(&words), |_| ())?;
                        if answer.code() != 0 {
                            self.tell(
                                "refused",
                                Some(&board.hostname),
                                index,
                                Some(&format!("{}; take another card", answer.said)),
                            )?;
                            self.readers[index].state = spent;
                            return Ok(());
                        }
                        Some(answer.last)
                    }
                };
                match self.consent(number, &device, plan.as_ref())? {
                    Consent::Yes => self.begin(index, number, (medium, &device.info), words)?,
                    Consent::No => self.readers[index].state = spent,
                    Consent::End => self.is_ended = true,
                }
            }
        }
        Ok(())
    }

    /// Shows a card, and asks whether it is the one.
    fn consent(&self, number: usize, device: &Device, plan: Option<&Value>) -> Result<Consent> {
        let name = &self.batch.board(number).hostname;
        let mut facts = facts(device);
        if let Some(plan) = plan {
            let lbas = plan["copies"].as_array().into_iter().flatten();
            let lbas: Vec<_> =
                lbas.filter_map(|copy| copy["lba"].as_u64()).map(|lba| lba.to_string()).collect();
            facts += &format!("; copies go to LBA {}", lbas.join(" and "));
        }
        if let Some(image) = &self.args.flash {
            facts += &format!("; everything on it is overwritten by {}", shell::path(image));
        }
        if self.args.yes {
            return Ok(Consent::Yes);
        }
        let question = format!(
            "{facts}\nboard {} of {}: {name}; Enter writes its card, s leaves this card alone, q ends: ",
            number + 1,
            self.batch.len()
        );
        loop {
            return Ok(match confirm::ask_line(&question, &|| self.ended.load(Ordering::Relaxed))? {
                Reply::Line(line) if line.is_empty() => Consent::Yes,
                Reply::Line(line) if line == "s" => Consent::No,
                Reply::Line(line) if line == "q" => Consent::End,
                Reply::Line(_) => continue,
                Reply::End => Consent::End,
            });
        }
    }

    /// Begins to write a card.
    fn begin(
        &mut self,
        index: usize,
        number: usize,
        (medium, info): (Medium, &DeviceInfo),
        stamp: Vec<OsString>,
    ) -> Result<()> {
        let board = self.batch.board(number);
        let path = self.readers[index].path.clone();
        self.batch.set(number, Progress::Working);
        let is_quiet = self.args.format == Format::Json || self.readers.len() > 1;
        let name = board.hostname.clone();
        let writer = match &self.args.flash {
            None => thread::spawn(move || identity_program::run(&stamp, |_| ())),
            Some(image) => {
                let identity = document(&board.identity()?)?;
                let words = identity_program::flash(image, identity.path(), &path);
                thread::spawn(move || {
                    let answer = identity_program::run(&words, |line| {
                        if !is_quiet {
                            show_progress(&name, line);
                        }
                    });
                    drop(identity);
                    answer
                })
            }
        };
        self.readers[index].state =
            ReaderState::Working { board: number, medium, info: Box::new(info.clone()), writer };
        Ok(())
    }

    /// A card was written, or was not.
    fn done(&mut self, index: usize, sha256: &mut Option<String>) -> Result<()> {
        let waiting = ReaderState::Waiting { is_told: false };
        let ReaderState::Working { board: number, medium, info, writer } =
            std::mem::replace(&mut self.readers[index].state, waiting)
        else {
            return Ok(());
        };
        self.readers[index].state = ReaderState::Spent(medium);
        let answer =
            writer.join().map_err(|_| Failure::new(Exit::Device, "the writer of a card has failed"))??;
        let name = self.batch.board(number).hostname.clone();
        if answer.code() != 0 {
            self.batch.set(number, Progress::Open);
            return self.tell("failed", Some(&name), index, Some(&answer.said));
        }
        self.batch.set(number, Progress::Done);
        if let Some(digest) = self.digest.take() {
            *sha256 = digest.join().unwrap_or_default();
        }
        // Before a person hears of it, and takes the card out.
        self.note(number, &info, &answer, sha256.clone())?;
        let message = Some(answer.said.as_str()).filter(|said| !said.is_empty());
        let event = if self.args.flash.is_some() { "flashed" } else { "stamped" };
        self.tell(event, Some(&name), index, message)
    }

    /// Notes what a card has now.
    fn note(&self, number: usize, info: &DeviceInfo, answer: &Answer, sha256: Option<String>) -> Result<()> {
        let identity = self.batch.board(number).identity()?;
        let written = if self.args.flash.is_some() { &answer.last["identity"] } else { &answer.last };
        let generation = written["generation"].as_i64();
        let event = |kind| Event { generation, ..Event::written(kind, &identity, info) };
        let mut events = vec![event(What::Stamped)];
        if self.args.flash.is_some() {
            events.push(Event { image: sha256, ..event(What::Flashed) });
        }
        self.journal.note(&events)
    }

    fn tell(
        &self,
        event: &'static str,
        board: Option<&str>,
        index: usize,
        message: Option<&str>,
    ) -> Result<()> {
        let device = &self.readers[index].path;
        print(&match self.args.format {
            Format::Json => json_line(&Line { event, board, device, message }),
            Format::Text => {
                let board = board.map_or_else(String::new, |board| format!(" {board}"));
                let message = message.map_or_else(String::new, |message| format!(": {message}"));
                format!("{event}{board} ({}){message}\n", shell::path(device))
            }
        })
    }
}

/// What a person says to a card.
enum Consent {
    Yes,
    No,
    End,
}

/// Boards that the journal, or this host's own memory, says are done.
fn leave_out_done(batch: &mut Batch, journal: &Journal, flashes: bool) {
    let here = journal.given_here();
    let mut database = match journal.open() {
        Ok(database) => database,
        Err(failure) => {
            say(&failure.and("what other hosts have done is not known").to_string());
            None
        }
    };
    for number in 0..batch.len() {
        let board = batch.board(number);
        let uuid = board.uuid.to_string();
        let kinds = [What::Stamped, What::Flashed, What::Erased];
        let noted = database
            .as_mut()
            .and_then(|database| database.events_of(&uuid, &kinds, 4).ok())
            .unwrap_or_default();
        let mine = here.iter().filter(|event| event.uuid.as_ref() == Some(&uuid)).cloned();
        let mut events: Vec<Event> = mine.chain(noted).collect();
        events.sort_by(|one, other| other.id.cmp(&one.id));
        let since = events.iter().take_while(|event| event.kind != What::Erased.name());
        if let Some(event) = since.into_iter().find(|event| is_done(event, flashes)) {
            say(&format!(
                "{}: {} {} on {} by {}; left out, --again takes it in",
                board.hostname, event.kind, event.at, event.host, event.person
            ));
            batch.set(number, Progress::Done);
        }
    }
}

fn with_dry_run(words: &[OsString]) -> Vec<OsString> {
    // Behind the verb: the device stays last.
    let mut words = words.to_vec();
    words.insert(1, "--dry-run".into());
    words
}

fn planned(batch: &Batch, readers: &[Reader], args: &StampArgs) -> Result<Exit> {
    let left = batch.left();
    let devices: Vec<_> = readers.iter().map(|reader| reader.path.clone()).collect();
    print(&match args.format {
        Format::Json => left
            .iter()
            .map(|board| {
                json_line(&Line {
                    event: "planned",
                    board: Some(&board.hostname),
                    device: &devices[0],
                    message: None,
                })
            })
            .collect::<String>(),
        Format::Text => {
            let shown: Vec<_> = devices.iter().map(|path| shell::path(path)).collect();
            let line =
                |board: &&crate::boards::Board| format!("would stamp {}  {}\n", board.hostname, board.uuid);
            left.iter().map(line).collect::<String>() + &format!("cards in {}\n", shown.join(", "))
        }
    })?;
    Ok(Exit::Done)
}

/// The identity as a file that `flash --restore` takes.
fn document(identity: &identity_core::Identity) -> Result<NamedTempFile> {
    let write = || -> io::Result<NamedTempFile> {
        let mut file = tempfile::Builder::new().prefix("identity-lab-").suffix(".json").tempfile()?;
        serde_json::to_writer(&mut file, &Document::of_recorded(identity))?;
        file.flush()?;
        Ok(file)
    };
    write().map_err(|error| {
        Failure::new(Exit::Device, format!("no room for a temporary file: {}", plain(&error)))
    })
}

fn show_progress(name: &str, line: &Value) {
    let (Some(bytes), Some(total)) =
        (line["bytes"].as_u64(), line["total"].as_u64().filter(|total| *total > 0))
    else {
        return;
    };
    let phase = line["phase"].as_str().unwrap_or("write");
    confirm::show_over(&format!("{name}: {phase} {} %", bytes.saturating_mul(100) / total));
}

/// Set when a signal asks to end: what is being written is finished first.
fn ended() -> Result<Arc<AtomicBool>> {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&ended)).map_err(|error| {
            Failure::new(Exit::Device, format!("signals cannot be caught: {}", plain(&error)))
        })?;
    }
    Ok(ended)
}
