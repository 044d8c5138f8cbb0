// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab stamp`: a batch of boards, each with its card, one after another or in several readers at once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use identity_core::State;
use identity_host::attached::{Content, Device};
use identity_host::device::info::DeviceInfo;
use identity_host::scan::Scan;
use identity_ui::confirm;
use identity_ui::output::say;
use identity_ui::{Exit, Failure, Result, shell, wording};
use serde_json::Value;

use super::selected;
use crate::args::{Format, StampArgs};
use crate::batch::{Batch, Progress, Verdict};
use crate::boards::List;
use crate::claims::{self, Claim, Claims, Known, Outcome};
use crate::digest;
use crate::identity_program;
use crate::journal::{Event, Journal, Kind as What};
use crate::lab::Lab;
use crate::readers::{self, Medium, chosen, device, may_have, medium};
use crate::scan::doubled;
use crate::signals;

mod consent;
mod finish;
mod noted;
mod reader;
mod told;
mod work;

use consent::Consent;
use reader::{Reader, ReaderState};
use told::Line;
use work::Work;

/// How often a reader is looked at. The kernel knows of a card after about a second.
const TICK: Duration = Duration::from_millis(200);
/// How often it is looked what other batches have done.
const OTHERS: Duration = Duration::from_secs(5);

/// Runs the verb.
///
/// # Errors
/// Exit 2 if a board or a reader is not there; 4 if a file of the lab cannot be read; 6 without anybody to ask.
pub fn run(dir: &Path, args: &StampArgs) -> Result<Exit> {
    // Before it is read: what changes from now on is seen.
    let list = List::of(dir);
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
    let reader =
        |path| Reader { path, wanted: None, holds: None, state: ReaderState::Waiting { is_told: false } };
    let readers: Vec<_> = chosen(&named)?.into_iter().map(reader).collect();
    let is_asked = !args.yes && !args.dry_run;
    if is_asked && !confirm::can_ask() {
        return Err(Failure::refused(
            "there is nobody to ask at a terminal; --yes stamps whatever blank card comes",
        ));
    }
    let journal = lab.journal();
    let claims = Claims::new(journal.clone(), &lab.settings.name, args.flash.is_some());
    let known = claims.known(&boards, args.alone || args.dry_run)?;
    let mut batch = Batch::new(boards, &lab.boards.all);
    if !args.again {
        leave_out_done(&mut batch, &known, args.flash.is_some());
    }
    if args.dry_run {
        let devices: Vec<_> = readers.iter().map(|reader| &*reader.path).collect();
        return told::planned(&batch.open(), &devices, args.format);
    }
    let digest = args.flash.as_deref().map(digest::begin).transpose()?;
    let ended = signals::ended()?;
    let mut session =
        Session { args, batch, list, claims, known, journal, readers, ended, digest, is_ended: false };
    session.run()
}

struct Session<'a> {
    args: &'a StampArgs,
    batch: Batch<'a>,
    list: List,
    claims: Claims,
    /// Of each board of the batch, what was known when it began.
    known: Vec<Known>,
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
        let mut looked = Instant::now();
        loop {
            if looked.elapsed() > OTHERS {
                self.leave_out_done_elsewhere();
                looked = Instant::now();
            }
            // A card that is there is looked at also if it can only be that of a board that may have one.
            for index in 0..self.readers.len() {
                let is_ended = self.is_ended || self.ended.load(Ordering::Relaxed);
                self.look_at(index, is_ended, &mut sha256)?;
            }
            let is_over = self.is_ended || self.ended.load(Ordering::Relaxed) || self.is_over();
            let is_working =
                self.readers.iter().any(|reader| matches!(reader.state, ReaderState::Working { .. }));
            if is_over && !is_working {
                break;
            }
            thread::sleep(TICK);
        }
        self.finish()
    }

    /// Whether nothing is awaited: a person can put a card in again that may have its identity, a script does not.
    fn is_over(&self) -> bool {
        self.batch.is_over() && (self.args.yes || self.batch.doubtful().is_none())
    }

    /// The board that a blank card in this reader is for: the one that a person was asked for, else one that no other reader
    /// waits for.
    fn next_for(&self, index: usize) -> Option<usize> {
        let others = self.readers.iter().enumerate().filter(|(other, _)| *other != index);
        let others: Vec<_> = others.filter_map(|(_, reader)| reader.wanted).collect();
        let next = self.batch.next(&others)?;
        self.readers[index].wanted.filter(|wanted| self.batch.is_open(*wanted)).or(Some(next))
    }

    /// What other batches have done since is not waited for.
    fn leave_out_done_elsewhere(&mut self) {
        while let Some(number) = self.batch.next(&[]) {
            let Some(event) = self.claims.done_since(self.batch.board(number), &self.known[number]) else {
                return;
            };
            self.leave_out(number, &event);
            for reader in &mut self.readers {
                if let ReaderState::Waiting { is_told } = &mut reader.state {
                    *is_told = false;
                }
            }
        }
    }

    fn look_at(&mut self, index: usize, is_ended: bool, sha256: &mut Option<String>) -> Result<()> {
        let reader = &mut self.readers[index];
        let medium = medium(&reader.path);
        match &mut reader.state {
            ReaderState::Working { writer, .. } if writer.is_finished() => self.done(index, sha256),
            ReaderState::Working { .. } => Ok(()),
            ReaderState::Spent(before) => {
                if *before != medium {
                    reader.holds = None;
                    reader.state = ReaderState::Waiting { is_told: false };
                }
                Ok(())
            }
            ReaderState::Waiting { .. } if is_ended => Ok(()),
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

    fn ask_for_card(&mut self, index: usize) {
        let next = self.next_for(index);
        self.readers[index].wanted = next;
        let shown = shell::path(&self.readers[index].path);
        let ask = |number: usize, what: &str| {
            let name = &self.batch.board(number).hostname;
            let (number, total) = (number + 1, self.batch.len());
            say(&format!(
                "board {number} of {total}: {name}; insert {what} into {shown}, or end with Ctrl-C"
            ));
        };
        match (next, self.batch.doubtful()) {
            (Some(number), _) => ask(number, "a card"),
            (None, Some(number)) => ask(number, "the card that it has"),
            (None, None) => (),
        }
    }

    /// A card has come: whose is it?
    fn judge(&mut self, index: usize, medium: Medium) -> Result<()> {
        let path = self.readers[index].path.clone();
        let Some(device) = device(&path) else { return Ok(()) };
        let (verdict, scan) = match device.look(None) {
            Content::Empty => return Ok(()),
            // Another card would change nothing.
            Content::Failed(error) if readers::is_denied(&error) => return Err(error.into()),
            Content::Failed(error) => (Verdict::Refused(wording::error(&error)), None),
            Content::Seen(target, scan) => {
                // Nothing may hold the device that is written next.
                drop(target);
                let words = wording::state(&scan, &path);
                let verdict = self.batch.judge(
                    &scan,
                    &shell::path(&path),
                    words,
                    self.next_for(index),
                    self.args.flash.is_some(),
                );
                (verdict, Some(scan))
            }
        };
        let spent = ReaderState::Spent(medium.clone());
        match verdict {
            Verdict::NobodyLeft => {
                if let Some(number) = self.batch.doubtful() {
                    let name = &self.batch.board(number).hostname;
                    let what = "has no identity, and the board may have a card: put that one in, or give it this one by --again";
                    self.tell("refused", Some(name), index, Some(&format!("{} {what}", shell::path(&path))))?;
                }
                self.readers[index].state = spent;
            }
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
                if self.is_elsewhere(number, index) {
                    if let Some(scan) = &scan {
                        self.note_double(scan, &device.info)?;
                    }
                    let what =
                        "has the identity of a board whose card is in another reader: one of them is a copy";
                    let name = &self.batch.board(number).hostname;
                    self.tell("refused", Some(name), index, Some(&format!("{} {what}", shell::path(&path))))?;
                    self.readers[index].state = spent;
                    return Ok(());
                }
                if let Some(scan) = &scan {
                    self.note_seen(number, scan, &device.info)?;
                }
                self.readers[index].holds = Some(number);
                self.batch.set(number, Progress::Done);
                let name = &self.batch.board(number).hostname;
                self.tell("done", Some(name), index, Some("this is its card already"))?;
                self.readers[index].state = spent;
            }
            Verdict::Stamp(number) => {
                let board = self.batch.board(number);
                let held =
                    scan.as_deref().and_then(Scan::identity).filter(|identity| identity.uuid() == board.uuid);
                // Another batch may have given it one meanwhile: then this card is the next board's.
                if held.is_none()
                    && let Some(event) = self.claims.done_since(board, &self.known[number])
                {
                    self.leave_out(number, &event);
                    return Ok(());
                }
                let words = identity_program::stamp(board, &path, held);
                let plan = match self.args.flash {
                    // Whether it can be written is seen when it is: the image decides where the copies go.
                    Some(_) => None,
                    None => {
                        let answer = identity_program::run(&identity_program::with_dry_run(&words), |_| ())?;
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
                match self.consent(number, (&device, &medium), plan.as_ref())? {
                    Consent::Yes if self.list.has_changed(board) => {
                        let name = &board.hostname;
                        say(&format!(
                            "{name}: its line in boards.csv has changed; left out, the same command takes it in"
                        ));
                        self.batch.set(number, Progress::Elsewhere);
                    }
                    Consent::Yes => {
                        // What could fail comes before the note that the card is begun.
                        let again = self.args.again && held.is_none();
                        let is_quiet = self.args.format == Format::Json || self.readers.len() > 1;
                        let work = match &self.args.flash {
                            Some(image) => {
                                let then = work::change(board, held, words);
                                work::flash(board, image, &path, (again, then), is_quiet)?
                            }
                            None => work::stamp(words),
                        };
                        if let Some(mut claim) = self.claim(number, held.is_some(), &device.info)? {
                            // To claim it may have taken a while.
                            if readers::medium(&path) != medium {
                                self.claims.withdraw(&mut claim);
                                return Ok(());
                            }
                            self.begin(index, number, (medium, &device.info, held.is_some()), claim, work);
                        }
                    }
                    Consent::No => self.readers[index].state = spent,
                    Consent::End => self.is_ended = true,
                    Consent::Gone => {
                        let shown = shell::path(&path);
                        say(&format!(
                            "the card in {shown} is not the one that was shown; nothing was written"
                        ));
                        self.readers[index].state = ReaderState::Waiting { is_told: false };
                    }
                }
            }
        }
        Ok(())
    }

    /// The right to write a board's card, which may be this one already; `None` if another program has it, or was faster.
    fn claim(&mut self, number: usize, is_its_card: bool, info: &DeviceInfo) -> Result<Option<Box<Claim>>> {
        let board = self.batch.board(number);
        match self.claims.take(board, &self.known[number], self.args.again || is_its_card, info)? {
            Outcome::Ours(claim) => return Ok(Some(claim)),
            Outcome::Done(event) if is_its_card => {
                // Nobody gets another card by that.
                self.known[number].done = Some(*event);
                return self.claim(number, is_its_card, info);
            }
            Outcome::Done(event) => self.leave_out(number, &event),
            Outcome::Elsewhere(who) => {
                say(&format!("{}: {who}; left out", board.hostname));
                self.batch.set(number, Progress::Elsewhere);
            }
        }
        Ok(None)
    }

    fn leave_out(&mut self, number: usize, event: &Event) {
        say(&claims::left_out(self.batch.board(number), event, self.args.flash.is_some()));
        self.batch.set(number, Progress::Done);
    }

    /// Shows a card, and asks whether it is the one. The question stands as long as the card that was shown is in the reader.
    fn consent(
        &self,
        number: usize,
        (device, medium): (&Device, &Medium),
        plan: Option<&Value>,
    ) -> Result<Consent> {
        let name = &self.batch.board(number).hostname;
        if self.args.yes {
            return Ok(Consent::Yes);
        }
        let question = format!(
            "{}\nboard {} of {}: {name}; Enter writes its card, s leaves this card alone, q ends: ",
            consent::facts(device, plan, self.args.flash.as_deref()),
            number + 1,
            self.batch.len()
        );
        consent::ask(&question, &|| self.ended.load(Ordering::Relaxed), &|| {
            readers::medium(&device.path) != *medium
        })
    }

    /// Begins to write a card.
    fn begin(
        &mut self,
        index: usize,
        board: usize,
        (medium, info, is_its_card): (Medium, &DeviceInfo, bool),
        claim: Box<Claim>,
        work: Work,
    ) {
        self.batch.set(board, Progress::Working);
        let (info, writer) = (Box::new(info.clone()), thread::spawn(work));
        let reader = &mut self.readers[index];
        reader.wanted = None;
        reader.state = ReaderState::Working { board, medium, info, claim, is_its_card, writer };
    }

    /// A card was written, or was not.
    fn done(&mut self, index: usize, sha256: &mut Option<String>) -> Result<()> {
        let waiting = ReaderState::Waiting { is_told: false };
        let ReaderState::Working { board: number, medium, info, mut claim, is_its_card, writer } =
            std::mem::replace(&mut self.readers[index].state, waiting)
        else {
            return Ok(());
        };
        self.readers[index].state = ReaderState::Spent(medium);
        let answer =
            writer.join().map_err(|_| Failure::new(Exit::Device, "the writer of a card has failed"))??;
        let name = self.batch.board(number).hostname.clone();
        if answer.code() != 0 {
            let is_refused = answer.code() == Exit::Refused as i32;
            let state = may_have(&self.readers[index].path, self.batch.board(number).uuid, is_refused);
            self.batch.set(number, if state.is_some() { Progress::Doubtful } else { Progress::Open });
            let Some(state) = state else {
                self.claims.withdraw(&mut claim);
                return self.tell("failed", Some(&name), index, Some(&answer.said));
            };
            // Both copies are written before the image.
            let state = if state == State::Valid { "unfinished" } else { state.name() };
            let identity = self.batch.board(number).identity()?;
            let event = Event::written(What::Stamped, &identity, &info);
            self.journal.note(&[Event { state: Some(state.to_owned()), ..event }])?;
            self.claims.release(&mut claim);
            let put = "put it in again, and the same command goes on with it; if it is lost, --again writes another card";
            let (event, message) = match answer.code() {
                code if code == Exit::Interrupted as i32 => {
                    ("interrupted", format!("the card may have its identity: {put}"))
                }
                _ => ("failed", format!("{}; the card may have the identity of {name}: {put}", answer.said)),
            };
            return self.tell(event, Some(&name), index, Some(&message));
        }
        self.batch.set(number, Progress::Done);
        self.readers[index].holds = Some(number);
        if let Some(digest) = self.digest.take() {
            *sha256 = digest.join().unwrap_or_default();
        }
        // Before a person hears of it, and takes the card out.
        let written = noted::Written {
            identity: &self.batch.board(number).identity()?,
            info: &info,
            answer: &answer.last,
            image: self.args.flash.as_ref().map(|_| sha256.clone()),
            before: self.known[number].done.as_ref(),
            is_its_card,
        };
        self.journal.note(&written.events())?;
        self.claims.release(&mut claim);
        let message = Some(answer.said.as_str()).filter(|said| !said.is_empty());
        let event = if self.args.flash.is_some() { "flashed" } else { "stamped" };
        self.tell(event, Some(&name), index, message)?;
        if let Some(next) = self.next_for(index).filter(|_| confirm::can_ask()) {
            let (next, shown) = (&self.batch.board(next).hostname, shell::path(&self.readers[index].path));
            say(&format!("take the card out of {shown}; the next board is {next}"));
        }
        Ok(())
    }

    fn tell(
        &self,
        event: &'static str,
        board: Option<&str>,
        index: usize,
        message: Option<&str>,
    ) -> Result<()> {
        told::tell(self.args.format, &Line { event, board, device: &self.readers[index].path, message })
    }
}

/// Boards that the journal, or this host's own memory, says are done.
fn leave_out_done(batch: &mut Batch, known: &[Known], flashes: bool) {
    for (number, known) in known.iter().enumerate() {
        if known.is_busy {
            say(&format!("{}: {}; left out", batch.board(number).hostname, claims::BUSY));
            batch.set(number, Progress::Elsewhere);
        } else if let Some(event) = &known.done {
            if let Some(double) = &known.double {
                let board = batch.board(number);
                say(&format!("{}: {}", board.hostname, doubled(Some(board), double)));
            }
            say(&claims::left_out(batch.board(number), event, flashes));
            let is_doubtful = claims::is_doubtful(batch.board(number), event, flashes);
            batch.set(number, if is_doubtful { Progress::Doubtful } else { Progress::Done });
        }
    }
}
