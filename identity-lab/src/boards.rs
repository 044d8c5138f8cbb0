// SPDX-License-Identifier: MIT OR Apache-2.0
//! `boards.csv`: one line a board, sorted by hostname. What is not changed keeps its bytes.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use identity_core::mac::MacError;
use identity_core::{Identity, Mac, Uuid, derive, text};
use identity_host::stamp::{Request, Values};
use identity_ui::{Exit, Failure, Result};

use crate::cells::{self, Cell, Separator};
use crate::place::{Place, cannot, line_and_column};

/// The header that `init` writes.
pub const HEADER: &str = "hostname,profile,uuid,serial,mac0,ip,location,tags,note";
/// Columns that every file has.
const NEEDED: [&str; 3] = ["hostname", "profile", "uuid"];
/// Behind this, a column's name is the key of a variable.
const VARIABLE: &str = "var.";
/// Columns in which blanks around a cell are nobody's: a spreadsheet, or a person, has put them there.
const TRIMMED: [&str; 6] = ["hostname", "profile", "uuid", "serial", "ip", "location"];
/// How lines begin that git has put between two sides of a merge.
const CONFLICT: [&str; 4] = ["<<<<<<<", "=======", ">>>>>>>", "|||||||"];
/// Columns beside the interfaces' and the variables'.
const KNOWN: [&str; 9] =
    ["hostname", "profile", "uuid", "serial", "ip", "location", "tags", "note", "sshkey"];
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
    /// Every cell by the name of its column.
    pub cells: BTreeMap<String, String>,
    /// Number of its line in the file, from 1.
    pub line: usize,
    columns: BTreeMap<String, usize>,
    file: PathBuf,
    /// Its bytes in the file, with the end of the line.
    raw: Range<usize>,
}

impl Board {
    /// Where a cell of it stands; of a column that the file does not have, the line.
    pub fn place(&self, column: &str) -> Place {
        match self.columns.get(column) {
            Some(number) => Place::column(&self.file, self.line, *number),
            None => Place::line(&self.file, self.line),
        }
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

/// A board that is added.
#[derive(Clone, Debug, Default)]
pub struct NewBoard {
    /// Cells by the names of their columns; the others stay empty.
    pub cells: BTreeMap<String, String>,
}

/// The file as it was read.
#[derive(Debug)]
pub struct Boards {
    path: PathBuf,
    text: String,
    separator: Separator,
    header: Vec<String>,
    body_start: usize,
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
        // Spreadsheets write a mark of byte order in front. It is read, and never written.
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        let mut lines = lines(&text);
        let (first, body_start) =
            lines.next().map_or(("", 0), |(_, raw)| (content(&text[raw.clone()]), raw.end));
        let separator = Separator::of(first);
        let header = header(path, first)?;
        let mut all = Vec::new();
        for (index, raw) in lines {
            let line = content(&text[raw.clone()]);
            if !line.is_empty() {
                let cells = cells::split(line, separator);
                all.push(board(path, &header, cells, index + 1, raw)?);
            }
        }
        Ok(Self { path: path.to_owned(), separator, header, body_start, all, text })
    }

    /// Whether the file has this column.
    pub fn has_column(&self, name: &str) -> bool {
        self.header.iter().any(|column| column == name)
    }

    /// The board of a hostname or a UUID; else of a serial number.
    pub fn find(&self, name: &str) -> Option<&Board> {
        let uuid = Uuid::try_parse(name).ok();
        let named = self.all.iter().find(|board| board.hostname == name || Some(board.uuid) == uuid);
        named.or_else(|| self.all.iter().find(|board| board.serial.as_deref() == Some(name)))
    }

    /// Whether the lines are in the order of their hostnames, byte by byte.
    pub fn is_sorted(&self) -> bool {
        self.all.is_sorted_by(|one, next| one.hostname <= next.hostname)
    }

    /// The columns, in the order of the file.
    pub fn columns(&self) -> &[String] {
        &self.header
    }

    /// Columns that nothing reads and whose names are nearly those of others: their place, name, and the other's.
    pub fn misnamed(&self) -> Vec<(Place, &str, String)> {
        let cells =
            cells::split(self.text.lines().next().unwrap_or_default(), self.separator).unwrap_or_default();
        let names = self.header.iter().zip(cells);
        let misnamed = names.filter_map(|(name, cell)| {
            let meant = meant(name)?;
            Some((Place::column(&self.path, 1, cell.column), name.as_str(), meant))
        });
        misnamed.collect()
    }

    /// The text with its lines in order, by hostname; each keeps its bytes.
    pub fn in_order(&self) -> String {
        let mut head = self.text[..self.body_start].to_owned();
        if !head.ends_with('\n') {
            head.push('\n');
        }
        head + &self.sorted().into_iter().map(|board| self.raw(board)).collect::<String>()
    }

    /// The boards by hostname, in whatever order the file has them.
    pub fn sorted(&self) -> Vec<&Board> {
        let mut boards: Vec<_> = self.all.iter().collect();
        boards.sort_by(|one, other| one.hostname.cmp(&other.hostname));
        boards
    }

    /// Boards that share a hostname, UUID, MAC address (derived ones included), IP address or serial number: the second
    /// one's place, and a sentence that names the first.
    pub fn clashes(&self) -> impl Iterator<Item = (Place, String)> {
        let mut seen = BTreeMap::new();
        self.all.iter().flat_map(move |board| {
            let mut found = Vec::new();
            for (column, value) in self.keys(board) {
                let kind = column.trim_end_matches(|char: char| char.is_ascii_digit()).to_owned();
                if let Some((line, hostname)) = seen.insert((kind, value.clone()), (board.line, &board.hostname)) {
                    found.push((
                        board.place(&column),
                        format!(
                            "{column}: {} has {value}, and so has {hostname} in line {line}; two boards never share one",
                            board.hostname
                        ),
                    ));
                }
            }
            found
        })
    }

    /// What no other board may have, by column: a MAC address of every interface that the file has a column for.
    fn keys(&self, board: &Board) -> Vec<(String, String)> {
        let mut keys = vec![
            ("hostname".to_owned(), board.hostname.to_ascii_lowercase()),
            ("uuid".to_owned(), board.uuid.to_string()),
        ];
        let columns = self.header.iter().filter_map(|column| interface(column)).filter(|index| *index > 0);
        let macs = std::iter::once(0).chain(columns);
        keys.extend(macs.map(|index| (format!("mac{index}"), board.mac(index).to_string())));
        keys.extend(board.ip.map(|ip| ("ip".to_owned(), ip.to_string())));
        keys.extend(board.serial.clone().map(|serial| ("serial".to_owned(), serial)));
        keys
    }

    /// Refuses what [`Boards::clashes`] finds.
    ///
    /// # Errors
    /// Exit 6 with the first of them.
    pub fn check_clashes(&self) -> Result<()> {
        self.clashes().next().map_or(Ok(()), |(place, what)| Err(place.refused(what)))
    }

    /// The text with more boards in it, sorted: lines that are there keep their bytes.
    ///
    /// # Errors
    /// Exit 6 if a hostname is there already or the file lacks a column; 4 if a cell breaks its rule. `None` of them is added
    /// then.
    pub fn with(&self, new: &[NewBoard]) -> Result<String> {
        for column in new.iter().flat_map(|board| board.cells.keys()) {
            if !self.header.contains(column) {
                return Err(Place::line(&self.path, 1)
                    .refused(format!("the file has no column `{column}`; add it to the header first")));
            }
        }
        // Of what is there already, the lines are those of the file.
        self.check_clashes()?;
        let line = |board: &NewBoard| {
            let cell = |name: &String| cells::quoted(board.cells.get(name).map_or("", String::as_str));
            let cells: Vec<_> = self.header.iter().map(cell).collect();
            cells.join(&self.separator.char().to_string()) + "\n"
        };
        let mut lines: Vec<_> =
            self.all.iter().map(|board| (board.hostname.clone(), self.raw(board))).collect();
        lines.extend(
            new.iter().map(|board| (board.cells.get("hostname").cloned().unwrap_or_default(), line(board))),
        );
        // A file that is in order keeps it; equal names, which are refused below, keep theirs.
        lines.sort_by(|(one, _), (other, _)| one.cmp(other));
        let body: String = lines.into_iter().map(|(_, line)| line).collect();
        let mut head = self.text[..self.body_start].to_owned();
        if !head.ends_with('\n') {
            head.push('\n');
        }
        let text = head + &body;
        let present: BTreeMap<_, _> = self.all.iter().map(|board| (board.hostname.as_str(), board)).collect();
        let names = new.iter().filter_map(|board| board.cells.get("hostname"));
        if let Some((name, board)) = names.filter_map(|name| Some((name, present.get(name.as_str())?))).next()
        {
            return Err(board
                .place("hostname")
                .refused(format!("{name} is there already; nothing was added")));
        }
        Self::parse(&self.path, text.clone())?.check_clashes()?;
        Ok(text)
    }

    fn raw(&self, board: &Board) -> String {
        let raw = &self.text[board.raw.clone()];
        if raw.ends_with('\n') { raw.to_owned() } else { format!("{raw}\n") }
    }
}

/// The text of a file that a spreadsheet may have saved.
fn decoded(path: &Path, bytes: Vec<u8>) -> Result<String> {
    const SAVE: &str = "save the file as UTF-8, which a spreadsheet calls \"CSV UTF-8\"";
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
        let names = if line > 1 { header(path, first).unwrap_or_default() } else { Vec::new() };
        let name = names.get(cell).map_or_else(String::new, |name| format!("{}: ", short(name)));
        Place::column(path, line, column).unreadable(format!("{name}this byte is not UTF-8; {SAVE}"))
    })
}

/// The beginning of a text, for messages.
fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The number of each line, from 0, and its bytes with its end.
fn lines(text: &str) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mut start = 0;
    text.split_inclusive('\n').enumerate().map(move |(index, line)| {
        let raw = start..start + line.len();
        start = raw.end;
        (index, raw)
    })
}

/// A line without its end, be it LF or CRLF.
fn content(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

fn header(path: &Path, line: &str) -> Result<Vec<String>> {
    let fail = |column: usize, what: &str| Err(Place::column(path, 1, column).unreadable(what));
    let cells = match cells::split(line, Separator::of(line)) {
        Ok(cells) => cells,
        Err(fault) => return fail(fault.column, fault.what),
    };
    let mut names: Vec<String> = Vec::new();
    for Cell { text: name, column } in cells {
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

/// The column that one with this name is taken for by a person, if it is none that is read.
fn meant(name: &str) -> Option<String> {
    let is_read = KNOWN.contains(&name) || interface(name).is_some() || name.starts_with(VARIABLE);
    let plain: String = name.to_lowercase().chars().filter(|char| char.is_ascii_alphanumeric()).collect();
    let plain = if plain == "mac" { "mac0".to_owned() } else { plain };
    let is_near = KNOWN.contains(&plain.as_str()) || interface(&plain).is_some();
    (!is_read && is_near).then_some(plain)
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
    path: &Path,
    header: &[String],
    cells: Result<Vec<Cell>, cells::Fault>,
    number: usize,
    raw: Range<usize>,
) -> Result<Board> {
    let fail = |column: usize, cell: usize, what: String| -> Failure {
        let name = header.get(cell).map_or_else(String::new, |name| format!("{}: ", short(name)));
        Place::column(path, number, column).unreadable(format!("{name}{what}"))
    };
    let cells = cells.map_err(|fault| fail(fault.column, fault.cell, fault.what.to_owned()))?;
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
    let mut board = Board {
        hostname: String::new(),
        profile: String::new(),
        uuid: Uuid::nil(),
        serial: None,
        macs: Vec::new(),
        ip: None,
        location: None,
        tags: Vec::new(),
        variables: Vec::new(),
        cells: BTreeMap::new(),
        line: number,
        columns: BTreeMap::new(),
        file: path.to_owned(),
        raw,
    };
    for (index, (name, Cell { text, column })) in header.iter().zip(cells).enumerate() {
        let is_trimmed = TRIMMED.contains(&&name[..]) || interface(name).is_some();
        let text = if is_trimmed { text.trim().to_owned() } else { text };
        set(&mut board, name, &text).map_err(|what| fail(column, index, what))?;
        board.columns.insert(name.clone(), column);
        board.cells.insert(name.clone(), text);
    }
    Ok(board)
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
