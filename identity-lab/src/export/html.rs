// SPDX-License-Identifier: MIT OR Apache-2.0
//! One page with all boards, for a wall or a wiki: it asks nobody for anything. What the journal knows is on it, too.
//!
//! What the list says is text in the table, and only there. The script is the same for every lab and takes it from the table, so
//! there is one escape for all, and one hash of style and script lets nothing else run.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::inventory::cell;
use super::{Export, Known, MADE};
use crate::boards::{Board, interface};
use crate::check::{Finding, check};
use crate::lab::{BOARDS_CSV, Lab};
use crate::label::modules;
use crate::markup::escaped;

/// The page with `{{NAME}}` where something comes in; its first line is its licence.
const PAGE: &str = include_str!("page.html");
/// Columns for people come first, findings and MAC addresses next.
const FIRST: [&str; 6] = ["hostname", "profile", "location", "tags", "ip", "note"];
/// Then these, and behind them all others of the file, in its order.
const NEXT: [&str; 2] = ["uuid", "serial"];
/// Characters of a text that is not broken into lines.
const LINE_MAX: usize = 28;
/// Findings that are shown without being asked for: more of them would hide the boards.
const OPEN_MAX: usize = 10;

/// How a column's cells are shown and compared: the class of the column and its cells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Words and numbers.
    Text,
    /// The same, where some need several lines.
    Long,
    /// Hex digits.
    Code,
    /// Any number of short texts.
    Tags,
    /// Any number of sentences.
    Findings,
}

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Self::Text => "",
            Self::Long => " class=\"long\"",
            Self::Code => " class=\"code\"",
            Self::Tags => " class=\"tags\"",
            Self::Findings => " class=\"findings\"",
        }
    }
}

/// What a board has in a column.
type Texts<'l> = Box<dyn Fn(&Board) -> Vec<String> + 'l>;

/// A column of the table; what is in it need not come from the list.
struct Column<'l> {
    name: String,
    kind: Kind,
    /// What the page can filter by: each text of the column, or whether there is any.
    filter: Option<&'static str>,
    texts: Texts<'l>,
}

/// The page; with what the journal knows, where it can be read.
pub fn html(lab: &Lab, known: Option<&Known>) -> Export {
    let mut findings = check(lab);
    findings.extend(known.into_iter().flat_map(|known| known.findings.clone()));
    findings.sort_by_key(|finding| finding.place.line_number());
    let boards = lab.boards.sorted();
    let columns = columns(lab, &findings, known);
    let name = escaped(&lab.settings.name);
    let part = |part: &str| match part {
        "made" => format!("Boards of the lab {name}. {MADE}"),
        "lab" => name.clone(),
        "style" => base64(&Sha256::digest(between(PAGE, "<style>", "</style>"))),
        "script" => base64(&Sha256::digest(between(PAGE, "<script>", "</script>"))),
        "summary" => summary(boards.len(), findings.len(), known.is_some()),
        "findings" => listed(lab, &boards, &findings),
        "head" => columns.iter().map(head).collect(),
        "rows" => (1..).zip(&boards).map(|(number, board)| row(number, board, &columns)).collect(),
        _ => String::new(),
    };
    let page = PAGE.split_once('\n').map_or(PAGE, |(_licence, page)| page);
    let count = counted(findings.len(), "finding");
    let note =
        (!findings.is_empty()).then(|| format!("{count} on the page; `identity-lab check` shows them too"));
    Export { text: fill(page, part), notes: note.into_iter().collect() }
}

/// The columns that are not empty for all boards.
fn columns<'l>(lab: &'l Lab, findings: &[Finding], known: Option<&'l Known>) -> Vec<Column<'l>> {
    let mut columns: Vec<_> = FIRST.into_iter().map(column).collect();
    let mut at: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for Finding { place, what } in findings {
        let place = place.below(&lab.dir);
        if place.file().as_os_str() == BOARDS_CSV {
            at.entry(place.line_number()).or_default().push(format!("{place}: {what}"));
        }
    }
    columns.push(Column {
        name: "findings".to_owned(),
        kind: Kind::Findings,
        filter: Some("any"),
        texts: Box::new(move |board| at.get(&board.line).cloned().unwrap_or_default()),
    });
    columns.extend(known.into_iter().flat_map(of_journal));
    let own = || lab.boards.columns().iter().map(String::as_str);
    let macs = own().filter(|name| interface(name).is_some_and(|index| index > 0));
    let others =
        own().filter(|name| !FIRST.contains(name) && !NEXT.contains(name) && interface(name).is_none());
    columns.extend(["mac0"].into_iter().chain(macs).chain(NEXT).chain(others).map(column));

    let boards = &lab.boards.all;
    let has = |column: &Column<'_>, holds: &dyn Fn(&String) -> bool| {
        boards.iter().any(|board| (column.texts)(board).iter().any(holds))
    };
    columns.retain(|column| boards.is_empty() || has(column, &|_| true));
    for column in columns.iter_mut().skip(1).filter(|column| column.kind == Kind::Text) {
        if has(column, &|text| text.chars().count() > LINE_MAX) {
            column.kind = Kind::Long;
        }
    }
    columns
}

/// The columns that the journal has.
fn of_journal(known: &Known) -> [Column<'_>; 3] {
    let column = |name: &str, kind, filter, texts| Column { name: name.to_owned(), kind, filter, texts };
    let uuid = |board: &Board| board.uuid.to_string();
    [
        column("cards", Kind::Long, Some("any"), Box::new(move |board| known.cards(&uuid(board)))),
        column(
            "last event",
            Kind::Long,
            None,
            Box::new(move |board| known.last(&uuid(board)).into_iter().collect()),
        ),
        column(
            "last seen",
            Kind::Long,
            Some("any"),
            Box::new(move |board| known.seen(&uuid(board)).into_iter().collect()),
        ),
    ]
}

/// A column of the list.
fn column(name: &str) -> Column<'_> {
    let kind = match name {
        "tags" => Kind::Tags,
        "uuid" => Kind::Code,
        name if interface(name).is_some() => Kind::Code,
        _ => Kind::Text,
    };
    let texts: Texts<'_> = match kind {
        Kind::Tags => Box::new(|board| board.tags.clone()),
        _ => Box::new(move |board| {
            Some(cell(board, name)).filter(|text| !text.is_empty()).into_iter().collect()
        }),
    };
    let filter = ["profile", "location", "tags"].contains(&name).then_some("each");
    Column { name: name.to_owned(), kind, filter, texts }
}

fn head(column: &Column<'_>) -> String {
    let filter = column.filter.map_or_else(String::new, |filter| format!(" data-filter=\"{filter}\""));
    format!("<th scope=\"col\"{}{filter}>{}</th>", column.kind.class(), escaped(&column.name))
}

fn row(number: usize, board: &Board, columns: &[Column<'_>]) -> String {
    let mut cells = String::new();
    let mut class = "";
    for (index, column) in columns.iter().enumerate() {
        let texts = (column.texts)(board);
        let inside: String = match column.kind {
            Kind::Text | Kind::Code => texts.iter().map(|text| escaped(text)).collect(),
            Kind::Long | Kind::Tags | Kind::Findings => {
                let spans: Vec<_> =
                    texts.iter().map(|text| format!("<span>{}</span>", escaped(text))).collect();
                spans.join(" ")
            }
        };
        if column.kind == Kind::Findings && !texts.is_empty() {
            class = " class=\"found\"";
        }
        cells += &match index {
            0 => format!("<th scope=\"row\">{inside}</th>"),
            _ => format!("<td{}>{inside}</td>", column.kind.class()),
        };
    }
    format!("<tr id=\"r{number}\"{class} data-code=\"{}\">{cells}</tr>\n", code(board))
}

/// The modules of the QR code on a board's label, row by row, as bits.
fn code(board: &Board) -> String {
    let modules: Vec<bool> = modules(board).into_iter().flatten().collect();
    let byte = |bits: &[bool]| (0..8).fold(0, |byte, at| byte << 1 | u8::from(bits.get(at) == Some(&true)));
    base64(&modules.chunks(8).map(byte).collect::<Vec<_>>())
}

fn summary(boards: usize, findings: usize, has_journal: bool) -> String {
    let boards = counted(boards, "board");
    let of = if has_journal { "" } else { " in the list" };
    match findings {
        0 => format!("{boards}, <span class=\"fine\">no findings{of}</span>"),
        _ => format!("{boards}, <a href=\"#findings\">{}</a>", counted(findings, "finding")),
    }
}

/// All findings, each with a link to its board.
fn listed(lab: &Lab, boards: &[&Board], findings: &[Finding]) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let rows: BTreeMap<_, _> = boards.iter().map(|board| board.line).zip(1..).collect();
    let line = |Finding { place, what }: &Finding| {
        let place = place.below(&lab.dir);
        let is_of_board = place.file().as_os_str() == BOARDS_CSV;
        let row = rows.get(&place.line_number()).filter(|_| is_of_board);
        let place = format!("<code>{}</code>", escaped(&place.to_string()));
        let place = row.map_or(place.clone(), |row: &usize| format!("<a href=\"#r{row}\">{place}</a>"));
        format!("<li>{place} {}</li>\n", escaped(what))
    };
    let open = if findings.len() <= OPEN_MAX { " open" } else { "" };
    format!(
        "<section id=\"findings\">\n<details{open}>\n<summary><h2>{}</h2></summary>\n<ol>\n{}</ol>\n</details>\n</section>\n",
        counted(findings.len(), "finding"),
        findings.iter().map(line).collect::<String>()
    )
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A template with its parts filled in. What comes in is not looked at again, be it like a name of a part.
fn fill(template: &str, part: impl Fn(&str) -> String) -> String {
    let mut pieces = template.split("{{");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").unwrap_or_default();
        text += &part(name);
        text += rest;
    }
    text
}

/// What stands between two texts.
fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).map_or("", |(inside, _)| inside)
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(three.get(at).copied().unwrap_or(0)));
        let digits = (0..4).map(|at| char::from(DIGITS[bits >> (18 - 6 * at) & 63]));
        text.extend(digits.take(three.len() + 1).chain("==".chars()).take(4));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use std::path::Path;

    use super::*;
    use crate::boards::Boards;
    use crate::journal::JournalPlace;
    use crate::lab::{Server, Settings};

    /// A lab in this directory, with this list.
    fn lab(dir: &str, list: &str) -> Lab {
        let dir = PathBuf::from(dir);
        let server = Server { address: None, nbd_port: 1, http_port: 1, root: None };
        let name = "desk".to_owned();
        let file = Path::new("lab.toml").to_owned();
        let journal = JournalPlace::Sqlite { file: file.clone(), lab_toml: file };
        let settings = Settings {
            dir: dir.clone(),
            name,
            server,
            network: None,
            rescue: None,
            default_profile: None,
            journal,
        };
        let boards = Boards::parse(&dir.join(BOARDS_CSV), list.to_owned()).unwrap();
        Lab { dir, settings, boards, profiles: Vec::new() }
    }

    const LIST: &str = "hostname,profile,uuid,note\nb,panda,9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5,\n\
                        a,panda,0b9ad1c6-3a4b-4f3e-8d55-1f0e6f1a7c02,\"{{rows}} <b>'&amp;\"\n";

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
    }

    #[test]
    fn what_comes_into_a_page_is_not_looked_at_again() {
        let part = |name: &str| if name == "a" { "{{b}}".to_owned() } else { "x".to_owned() };
        assert_eq!(fill("{{a}} {{b}}}", part), "{{b}} x}");
    }

    #[test]
    fn every_part_of_the_page_is_filled_and_a_cell_is_text() {
        let page = html(&lab("", LIST), None).text;
        assert_eq!(page.matches("{{").count(), 1, "the one in the note");
        assert!(page.contains("<td>{{rows}} &lt;b&gt;&#39;&amp;amp;</td>"), "{page}");
        assert!(page.starts_with("<!doctype html>\n<!-- Boards of the lab desk. Made by identity-lab: "));
        // Style and script are of every lab the same.
        let hash = |start, end| base64(&Sha256::digest(between(&page, start, end)));
        let (style, script) = (hash("<style>", "</style>"), hash("<script>", "</script>"));
        assert!(
            page.contains(&format!("style-src 'sha256-{style}'; script-src 'sha256-{script}'")),
            "{page}"
        );
    }

    #[test]
    fn the_page_is_sorted_and_the_same_wherever_the_lab_lies() {
        let page = html(&lab("", LIST), None).text;
        assert!(page.find("<th scope=\"row\">a</th>") < page.find("<th scope=\"row\">b</th>"));
        for dir in ["..", "/srv/lab", "a/b"] {
            assert_eq!(html(&lab(dir, LIST), None).text, page, "{dir}");
        }
    }

    #[test]
    fn a_column_is_left_out_where_no_board_has_anything_in_it() {
        let named = |list: &str| {
            let lab = lab("", list);
            columns(&lab, &[], None).into_iter().map(|column| column.name).collect::<Vec<_>>()
        };
        assert_eq!(named(LIST), ["hostname", "profile", "note", "mac0", "uuid"]);
        let bare = LIST.replace("\"{{rows}} <b>'&amp;\"", "");
        assert_eq!(named(&bare), ["hostname", "profile", "mac0", "uuid"]);
        let head = LIST.lines().next().unwrap();
        let all =
            ["hostname", "profile", "location", "tags", "ip", "note", "findings", "mac0", "uuid", "serial"];
        assert_eq!(named(head), all);
    }
}
