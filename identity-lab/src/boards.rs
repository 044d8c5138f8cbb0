// SPDX-License-Identifier: MIT OR Apache-2.0
//! `boards.csv`: one line a board, sorted by hostname. What is not changed keeps its bytes.

use std::fs;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use identity_core::mac::MacError;
use identity_core::{Identity, Mac, Uuid, derive, text};
use identity_host::stamp::{Request, Values};
use identity_ui::{Exit, Failure, Result};

use crate::cells::{self, Cell, Separator};
use crate::place::{Place, cannot, line_and_column};

mod change;
mod clashes;
mod columns;
mod lookup;

pub use change::{Change, NewBoard};
pub use clashes::Clash;
pub use lookup::List;

/// The header that `init` writes.
pub const HEADER: &str = "hostname,profile,uuid,serial,mac0,ip,location,tags,note";
/// Columns that every file has.
const NEEDED: [&str; 3] = ["hostname", "profile", "uuid"];
/// Behind this, a column's name is the key of a variable.
const VARIABLE: &str = "var.";
/// The column of a board's public host key, as `ssh-ed25519 AAAA…`.
pub const SSH_KEY: &str = "sshkey";
/// Columns in which blanks around a cell are nobody's: a spreadsheet, or a person, has put them there.
const TRIMMED: [&str; 6] = ["hostname", "profile", "uuid", "serial", "ip", "location"];
/// How lines begin that git has put between two sides of a merge.
const CONFLICT: [&str; 4] = ["<<<<<<<", "=======", ">>>>>>>", "|||||||"];
/// What some spreadsheets write in front: a mark of byte order.
const MARK: char = '\u{feff}';
/// What is said of files as a power cut leaves them.
const LOST: &str =
    "this file has nothing but zero bytes, as after a power cut; take it from git, or from a backup";
const EMPTY: &str = "there are no names of columns; the first line has them, as in `hostname,profile,uuid`; if the file was lost, take it \
                     from git, or from a backup";
/// Characters of a cell that a message quotes.
const SHOWN_MAX: usize = 60;

/// A board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// Its hostname, unique in the lab.
    pub hostname: String,
    /// The name of its profile.
    pub profile: String,
    /// The UUID of its identity.
    pub uuid: Uuid,
    /// Its serial number, if it is known.
    pub serial: Option<String>,
    /// Assigned MAC addresses by interface; all others are derived.
    pub macs: Vec<(u8, Mac)>,
    /// A fixed IPv4 address, if it has one.
    pub ip: Option<Ipv4Addr>,
    /// Where it stands, if that is noted.
    pub location: Option<String>,
    /// Tags, which blanks separate.
    pub tags: Vec<String>,
    /// Variables by key, from the columns `var.KEY`.
    pub variables: Vec<(String, String)>,
    /// Number of its line in the file, from 1.
    pub line: usize,
    source: Shared,
    /// Its bytes in the file, with the end of the line.
    raw: Range<usize>,
}

/// What all boards of a file have in common; two are the same if they are of one reading.
#[derive(Clone, Debug)]
struct Shared(Arc<Source>);

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Shared {}

/// The text of a file, and how to read its lines.
#[derive(Debug, Default)]
struct Source {
    path: PathBuf,
    text: String,
    separator: Separator,
    header: Vec<String>,
    body_start: usize,
    /// Whether the file begins with a mark of byte order, without which some spreadsheets take it for another encoding.
    has_mark: bool,
}

impl Board {
    fn empty(source: Shared, line: usize, raw: Range<usize>) -> Self {
        Self {
            hostname: String::new(),
            profile: String::new(),
            uuid: Uuid::nil(),
            serial: None,
            macs: Vec::new(),
            ip: None,
            location: None,
            tags: Vec::new(),
            variables: Vec::new(),
            line,
            source,
            raw,
        }
    }

    /// Where a cell of it stands; of a column that the file does not have, the line.
    pub fn place(&self, column: &str) -> Place {
        let file = &self.source.0.path;
        match self.read(column) {
            Some(Cell { column, .. }) => Place::column(file, self.line, column),
            None => Place::line(file, self.line),
        }
    }

    /// The text of a cell; `None` for a column that the file does not have.
    pub fn cell(&self, column: &str) -> Option<String> {
        self.read(column).map(|cell| trimmed(column, &cell.text).to_owned())
    }

    /// The names of the columns that have a cell of it.
    pub fn columns(&self) -> &[String] {
        &self.source.0.header
    }

    /// A cell as it stands in the file. A million boards do not keep their cells beside the text that has them.
    fn read(&self, column: &str) -> Option<Cell> {
        let Source { text, separator, header, .. } = &*self.source.0;
        let index = header.iter().position(|name| name == column)?;
        // The line was read before, so it can be.
        let cells = cells::split(content(text.get(self.raw.clone())?), *separator).ok()?;
        cells.into_iter().nth(index)
    }

    /// The MAC address of its interface `index`: the assigned one, else the derived one.
    pub fn mac(&self, index: u8) -> Mac {
        let assigned = self.macs.iter().find(|(number, _)| *number == index);
        assigned.map_or_else(|| derive::mac(self.uuid, u32::from(index)), |(_, mac)| *mac)
    }

    /// The machine-id that follows from its UUID: 32 hex digits.
    pub fn machine_id(&self) -> String {
        derive::machine_id(self.uuid).simple().to_string()
    }

    /// What its card gets.
    pub fn request(&self) -> Request {
        let values = Values {
            profile: Some(self.profile.clone()),
            hostname: Some(self.hostname.clone()),
            serial: self.serial.clone(),
            macs: self.macs.clone(),
            variables: self.variables.clone(),
            unset: Vec::new(),
        };
        Request { values, uuid: Some(self.uuid), ..Request::default() }
    }

    /// The identity of its card.
    ///
    /// # Errors
    /// Exit 4 if its fields do not fit into one sector.
    pub fn identity(&self) -> Result<Identity> {
        self.new_identity().map_err(|(column, what)| self.place(column).unreadable(what))
    }

    /// The identity of its card, or the column that stands in its way, and why.
    pub(crate) fn new_identity(&self) -> Result<Identity, (&'static str, String)> {
        let identity = self.request().new_identity();
        let whole = identity.map_err(|error| ("hostname", identity_ui::wording::error(&error)))?;
        whole.ok_or_else(|| ("profile", "profile: a board needs one".to_owned()))
    }
}

/// The file as it was read.
#[derive(Debug)]
pub struct Boards {
    source: Shared,
    /// The boards in the order of the file.
    pub all: Vec<Board>,
}

impl Boards {
    /// Reads a file.
    ///
    /// # Errors
    /// Exit 4 with line, column and the column's name if a cell breaks its rule.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(|error| cannot("read", path, &error, Exit::Corrupt))?;
        Self::parse(path, decoded(path, bytes)?)
    }

    /// Reads a text; `path` is for messages.
    ///
    /// # Errors
    /// As [`Boards::read`].
    pub fn parse(path: &Path, text: String) -> Result<Self> {
        let has_mark = text.starts_with(MARK);
        let text = text.strip_prefix(MARK).map(str::to_owned).unwrap_or(text);
        let (first, body_start) = match lines(&text).next() {
            Some((_, raw)) => (content(&text[raw.clone()]).to_owned(), raw.end),
            None => (String::new(), 0),
        };
        let (separator, header) = (Separator::of(&first), header(path, &first)?);
        let source =
            Shared(Arc::new(Source { path: path.to_owned(), text, separator, header, body_start, has_mark }));
        let text = &source.0.text;
        let mut all = Vec::new();
        for (index, raw) in lines(text).skip(1) {
            let line = content(&text[raw.clone()]);
            if !line.is_empty() {
                let cells = cells::split(line, separator);
                all.push(board(&source, cells, index + 1, raw)?);
            }
        }
        Ok(Self { all, source })
    }

    /// Whether the file has this column.
    pub fn has_column(&self, name: &str) -> bool {
        self.source.0.header.iter().any(|column| column == name)
    }

    /// The board of a hostname or a UUID; else of a serial number, or an address of one of its first interfaces.
    pub fn find(&self, name: &str) -> Option<&Board> {
        let uuid = Uuid::try_parse(name).ok();
        let named = self.all.iter().find(|board| board.hostname == name || Some(board.uuid) == uuid);
        named
            .or_else(|| self.all.iter().find(|board| board.serial.as_deref() == Some(name)))
            .or_else(|| self.find_address(name))
    }

    fn find_address(&self, address: &str) -> Option<&Board> {
        if let Ok(ip) = address.parse() {
            return self.all.iter().find(|board| board.ip == Some(ip));
        }
        let mac = plain("mac0", address).ok()?.parse().ok()?;
        let has = |board: &&Board| {
            (0..4).any(|index| board.mac(index) == mac) || board.macs.iter().any(|(_, own)| *own == mac)
        };
        self.all.iter().find(has)
    }

    /// Whether the lines are in the order of their hostnames, byte by byte.
    pub fn is_sorted(&self) -> bool {
        self.all.is_sorted_by(|one, next| one.hostname <= next.hostname)
    }

    /// The columns, in the order of the file.
    pub fn columns(&self) -> &[String] {
        &self.source.0.header
    }

    /// The boards by hostname, in whatever order the file has them.
    pub fn sorted(&self) -> Vec<&Board> {
        let mut boards: Vec<_> = self.all.iter().collect();
        boards.sort_by(|one, other| one.hostname.cmp(&other.hostname));
        boards
    }
}

/// The text of a file that a spreadsheet may have saved.
pub(crate) fn decoded(path: &Path, bytes: Vec<u8>) -> Result<String> {
    const SAVE: &str = "save the file as UTF-8, which a spreadsheet calls \"CSV UTF-8\"";
    if !bytes.is_empty() && bytes.iter().all(|byte| *byte == 0) {
        return Err(Place::column(path, 1, 1).unreadable(LOST));
    }
    // With a mark of byte order, or without: no name of a column has a zero byte.
    if matches!(bytes[..], [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..]) {
        return Err(Place::column(path, 1, 1).unreadable(format!("this file is UTF-16; {SAVE}")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..at]).into_owned();
        let (line, column) = line_and_column(&before, at);
        let first = before.lines().next().unwrap_or_default();
        let start = before.rsplit('\n').next().unwrap_or_default();
        let cell = match cells::split(start, Separator::of(first)) {
            Ok(cells) => cells.len().saturating_sub(1),
            Err(fault) => fault.cell,
        };
        let header = if line > 1 { cells::split(first, Separator::of(first)).ok() } else { None };
        let name = header.and_then(|header| header.get(cell).map(|name| format!("{}: ", short(&name.text))));
        let name = name.unwrap_or_default();
        Place::column(path, line, column).unreadable(format!("{name}this byte is not UTF-8; {SAVE}"))
    })
}

/// The beginning of a text, for messages.
pub(crate) fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The number of each line, from 0, and its bytes with its end.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mut start = 0;
    text.split_inclusive('\n').enumerate().map(move |(index, line)| {
        let raw = start..start + line.len();
        start = raw.end;
        (index, raw)
    })
}

/// A line without its end, be it LF or CRLF.
pub(crate) fn content(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

fn header(path: &Path, line: &str) -> Result<Vec<String>> {
    let fail = |column: usize, what: &str| Err(Place::column(path, 1, column).unreadable(what));
    if line.is_empty() {
        return fail(1, EMPTY);
    }
    let cells = match cells::split(line, Separator::of(line)) {
        Ok(cells) => cells,
        Err(fault) => return fail(fault.column, fault.what),
    };
    let mut names: Vec<String> = Vec::new();
    for Cell { text: name, column, .. } in cells {
        if name.is_empty() {
            return fail(
                column,
                "a column without a name; the first line has the names, as in `hostname,profile,uuid`",
            );
        }
        if names.contains(&name) {
            return fail(column, &format!("a second column `{}`", short(&name)));
        }
        if let Some(key) = name.strip_prefix(VARIABLE)
            && let Err(error) = text::check_key(key.as_bytes())
        {
            return fail(column, &format!("`{}`: a variable's key {error}", short(&name)));
        }
        names.push(name);
    }
    match NEEDED.iter().find(|needed| !names.iter().any(|name| name == *needed)) {
        Some(missing) => fail(
            1,
            &format!(
                "there is no column `{missing}`; names and cells are separated by commas, or by semicolons"
            ),
        ),
        None => Ok(names),
    }
}

/// Whether resolvers take a hostname for an address, as inet_aton(3) does with "1" and "1.2", or for each host itself.
pub fn is_address(hostname: &str) -> bool {
    let name = hostname.to_ascii_lowercase();
    name == "localhost" || name.split('.').all(|label| label.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The number of the interface in a column's name `mac0`, `mac1`, ….
pub fn interface(column: &str) -> Option<u8> {
    let digits = column.strip_prefix("mac")?;
    digits.parse().ok().filter(|number: &u8| number.to_string() == digits)
}

fn board(
    source: &Shared,
    cells: Result<Vec<Cell>, cells::Fault>,
    number: usize,
    raw: Range<usize>,
) -> Result<Board> {
    let Source { path, header, .. } = &*source.0;
    let fail = |column: usize, cell: usize, what: String| -> Failure {
        let name = header.get(cell).map_or_else(String::new, |name| format!("{}: ", short(name)));
        Place::column(path, number, column).unreadable(format!("{name}{what}"))
    };
    let cells = cells.map_err(|fault| fail(fault.column, fault.cell, fault.what.to_owned()))?;
    if NEEDED.iter().all(|name| cells.iter().any(|cell| cell.text == *name)) {
        let what = "a second header, as git leaves it where two people have changed the columns; bring the lines below it under \
                    the first one, and remove it";
        return Err(fail(1, header.len(), what.into()));
    }
    if cells.len() != header.len() {
        let at = cells.get(header.len()).or(cells.last()).map_or(1, |cell| cell.column);
        let first = cells.first().map_or("", |cell| cell.text.as_str());
        if CONFLICT.iter().any(|mark| first.starts_with(mark)) {
            return Err(fail(
                1,
                header.len(),
                "git's mark of a conflict; keep the lines that are right, and remove it".into(),
            ));
        }
        let count = if cells.len() == 1 { "1 cell".to_owned() } else { format!("{} cells", cells.len()) };
        return Err(fail(at, header.len(), format!("the line has {count}, and the header {}", header.len())));
    }
    let mut board = Board::empty(source.clone(), number, raw);
    for (index, (name, Cell { text, column, .. })) in header.iter().zip(cells).enumerate() {
        set(&mut board, name, trimmed(name, &text)).map_err(|what| fail(column, index, what))?;
    }
    Ok(board)
}

/// The text of a cell without the blanks that are nobody's.
fn trimmed<'a>(column: &str, cell: &'a str) -> &'a str {
    if TRIMMED.contains(&column) || interface(column).is_some() { cell.trim() } else { cell }
}

/// Whether this program knows what a column means.
pub fn is_known(column: &str) -> bool {
    HEADER.split(',').chain([SSH_KEY]).any(|known| known == column)
        || interface(column).is_some()
        || column.starts_with(VARIABLE)
}

/// A value for a cell in the form in which this program writes it: UUIDs and addresses have one form each.
///
/// # Errors
/// Why the column does not take it, as a sentence that follows the column's name.
pub fn plain(column: &str, value: &str) -> Result<String, String> {
    let text = trimmed(column, value);
    cells::check_text(text)?;
    if let Some(key) = column.strip_prefix(VARIABLE) {
        text::check_key(key.as_bytes()).map_err(|error| format!("a variable's key {error}"))?;
    }
    let mut board = Board::empty(Shared(Arc::default()), 0, 0..0);
    set(&mut board, column, text)?;
    let address = board.ip.map(|ip| ip.to_string());
    let mac = board.macs.first().map(|(_, mac)| mac.to_string());
    let uuid = (!board.uuid.is_nil()).then(|| board.uuid.to_string());
    Ok(uuid.or(address).or(mac).unwrap_or_else(|| text.to_owned()))
}

/// Takes one cell; the error is a sentence that follows the column's name.
fn set(board: &mut Board, name: &str, cell: &str) -> Result<(), String> {
    let shown = |error: &dyn std::fmt::Display| format!("\"{}\" {error}", short(cell));
    if cell.is_empty() {
        return if NEEDED.contains(&name) { Err("a board needs one".into()) } else { Ok(()) };
    }
    let owned = Some(cell.to_owned());
    match name {
        "hostname" => {
            text::check_hostname(cell.as_bytes()).map_err(|error| shown(&error))?;
            board.hostname = cell.to_owned();
        }
        "profile" => {
            text::check_profile(cell.as_bytes()).map_err(|error| shown(&error))?;
            board.profile = cell.to_owned();
        }
        "uuid" => {
            let uuid = Uuid::try_parse(cell).ok().filter(|uuid| !uuid.is_nil() && !uuid.is_max());
            let is = "is no UUID, like 9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5";
            board.uuid = uuid.ok_or_else(|| shown(&is))?;
        }
        "serial" => {
            text::check_serial(cell.as_bytes()).map_err(|error| shown(&error))?;
            board.serial = owned;
        }
        "ip" => board.ip = Some(cell.parse().map_err(|_| shown(&"is no IPv4 address, like 192.168.7.11"))?),
        "location" => board.location = owned,
        "tags" => board.tags = cell.split_whitespace().map(str::to_owned).collect(),
        _ => {
            if let Some(key) = name.strip_prefix(VARIABLE) {
                text::check_value(cell.as_bytes()).map_err(|error| shown(&error))?;
                board.variables.push((key.to_owned(), cell.to_owned()));
            } else if let Some(index) = interface(name) {
                board.macs.push((index, mac(cell).map_err(|error| shown(&error))?));
            }
        }
    }
    Ok(())
}

/// A MAC address as Linux, Windows and Cisco write it, or its 12 hex digits alone.
fn mac(text: &str) -> Result<Mac, MacError> {
    let groups: Vec<_> = text.split('.').collect();
    let digits = match groups[..] {
        [_] => text.to_owned(),
        [one, two, three] if [one, two, three].iter().all(|group| group.len() == 4) => groups.concat(),
        _ => return text.parse(),
    };
    if digits.len() != 12 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return text.parse();
    }
    let pairs: Vec<_> = (0..12).step_by(2).map(|at| &digits[at..at + 2]).collect();
    pairs.join(":").parse()
}
