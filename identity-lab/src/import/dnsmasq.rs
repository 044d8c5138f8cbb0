// SPDX-License-Identifier: MIT OR Apache-2.0
//! dnsmasq's `dhcp-host` lines, in its configuration or, without the option's name, in a `dhcp-hostsfile`. A field means what it
//! means in dnsmasq's own `one_opt` (option.c, 2.90).

use std::net::Ipv4Addr;

use super::{Fault, Found, Incoming, Input};
use crate::boards::{self, content, lines, short};

/// The option that names a board.
const OPTION: &str = "dhcp-host";
/// Options that name files in which more boards may be.
const FILES: [&str; 4] = ["conf-dir", "conf-file", "dhcp-hostsdir", "dhcp-hostsfile"];
/// What `export dnsmasq` puts before the profile, and before the hostname, as tags.
const PROFILE: &str = "profile-";
const BOARD: &str = "board-";

/// One field of a line, and the byte of the text where it begins.
struct Field {
    text: String,
    at: usize,
}

/// What a field means.
enum Meaning {
    Mac(String),
    Address,
    Hostname,
    Profile(String),
    /// The boards of this line are none, for this reason.
    NoBoard(String),
    /// `boards.csv` has no column for it.
    Other(&'static str),
    /// It says nothing.
    Nothing,
}

/// Whether a text has a `dhcp-host` option.
pub fn is_config(text: &str) -> bool {
    text.lines().any(|line| option(line).is_some_and(|(name, _)| name == OPTION))
}

/// Whether the first line that is no comment could stand in a `dhcp-hostsfile`.
pub fn is_hosts_file(text: &str) -> bool {
    let first = text.lines().map(uncommented).find(|line| !line.trim().is_empty());
    let fields = first.and_then(|line| fields(line, 0).ok()).unwrap_or_default();
    let tells = |field: &Field| {
        let is_mac = colons(&field.text).is_some_and(|mac| boards::plain("mac0", &mac).is_ok());
        is_mac || is_tag(&field.text) || field.text.parse::<Ipv4Addr>().is_ok()
    };
    fields.len() > 1 && fields.iter().any(tells)
}

/// The boards of a configuration, or of a `dhcp-hostsfile`.
pub fn read(input: &Input<'_>) -> Found {
    let mut found = Found::default();
    let is_config = input.text.lines().any(|line| option(line).is_some());
    for (_, raw) in lines(input.text) {
        let (start, line) = (raw.start, uncommented(content(&input.text[raw])));
        match option(line) {
            Some((OPTION, value)) => host(input, &line[value..], start + value, &mut found),
            Some((name, _)) if FILES.contains(&name) => {
                let at = start + line.len() - line.trim_start().len();
                found.left_out.push((at, format!("{name}: what it names is not read; import that file too")));
            }
            _ if is_config || line.trim().is_empty() => (),
            _ => host(input, line, start, &mut found),
        }
    }
    found
}

/// The name of an option, and the byte of the line where its value begins.
fn option(line: &str) -> Option<(&str, usize)> {
    let (before, value) = line.split_once('=')?;
    let name = before.trim();
    let is_name = |name: &str| {
        name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    (!name.is_empty() && is_name(name)).then(|| (name, line.len() - value.len()))
}

/// A line without its comment: `#` at the beginning or behind a blank, outside of quotes.
fn uncommented(line: &str) -> &str {
    let (mut is_quoted, mut is_blank) = (false, true);
    for (at, char) in line.char_indices() {
        match char {
            '#' if is_blank && !is_quoted => return &line[..at],
            '"' => is_quoted = !is_quoted,
            _ => (),
        }
        is_blank = char.is_ascii_whitespace();
    }
    line
}

/// The fields of a value, without quotes and the blanks around them; the error is the byte of a quote that is not closed.
fn fields(value: &str, start: usize) -> Result<Vec<Field>, usize> {
    let (mut all, mut field, mut quote) = (Vec::new(), Field { text: String::new(), at: start }, None);
    for (at, char) in value.char_indices() {
        match char {
            '"' => quote = if quote.is_none() { Some(start + at) } else { None },
            ',' if quote.is_none() => {
                all.push(field);
                field = Field { text: String::new(), at: start + at + 1 };
            }
            // Blanks before a field are not its beginning.
            _ if field.text.is_empty() && char.is_ascii_whitespace() => field.at = start + at + 1,
            _ => field.text.push(char),
        }
    }
    if let Some(at) = quote {
        return Err(at);
    }
    all.push(field);
    for field in &mut all {
        field.text.truncate(field.text.trim_end().len());
    }
    Ok(all)
}

/// The board of a line.
fn host(input: &Input<'_>, value: &str, start: usize, found: &mut Found) {
    let unreadable =
        |at: usize, what: String| Fault::unreadable(input.place(at), format!("{OPTION}: {what}"));
    let fields = match fields(value, start) {
        Ok(fields) => fields,
        Err(at) => return found.faults.push(unreadable(at, "this quote is not closed".into())),
    };
    let first = fields.first().map_or(start, |field| field.at);
    let has_mac = fields.iter().any(|field| field.text.contains(':') && !is_tag(&field.text));
    let mut board = Incoming::at(first);
    let (mut macs, mut why_not) = (0, None);
    for Field { text, at } in &fields {
        let has = |board: &Incoming, column: &str| board.text(column).is_some() || board.is_wrong(column);
        let twice = |what: &str| {
            unreadable(*at, format!("a second {what}, \"{}\"; dnsmasq takes one of them", short(text)))
        };
        match meaning(text) {
            Meaning::Nothing => (),
            Meaning::Mac(mac) => {
                let column = format!("mac{macs}");
                board.set(input, &column, &column, &mac, *at);
                macs += 1;
            }
            Meaning::Address if has(&board, "ip") => board.fault("ip", twice("IPv4 address")),
            Meaning::Address => board.set(input, "ip", "ip", text, *at),
            _ if !has_mac && boards::plain("mac0", text).is_ok() => {
                let what = format!(
                    "dnsmasq takes \"{text}\" for no MAC address; write it with colons, as 02:00:5e:10:00:01"
                );
                board.fault("mac0", unreadable(*at, what));
            }
            Meaning::Hostname if has(&board, "hostname") => board.fault("hostname", twice("hostname")),
            Meaning::Hostname => board.set(input, "hostname", "hostname", text, *at),
            Meaning::Profile(profile) => board.set(input, "profile", "profile", &profile, *at),
            Meaning::NoBoard(why) => why_not = Some(why),
            Meaning::Other(what) => {
                found.ignored.insert(what.to_owned());
            }
        }
    }
    if board.text("hostname").is_none() && board.wrong.is_empty() {
        why_not = why_not.or(Some("it has no hostname".into()));
    }
    match why_not {
        // What is wrong with a line that is none of a board's is nobody's matter.
        Some(why) => found.left_out.push((first, why)),
        None => found.boards.push(board),
    }
}

/// Whether a field is a tag or a client's identifier.
fn is_tag(text: &str) -> bool {
    ["set:", "net:", "tag:", "id:", "ID:", "Id:", "iD:"].iter().any(|start| text.starts_with(start))
}

fn meaning(text: &str) -> Meaning {
    if is_tag(text) {
        let tag = text.strip_prefix("set:").unwrap_or_default();
        return match tag.strip_prefix(PROFILE) {
            Some(profile) => Meaning::Profile(profile.to_owned()),
            None if tag.starts_with(BOARD) => Meaning::Nothing,
            None if text[..2].eq_ignore_ascii_case("id") => Meaning::Other("client identifiers"),
            None => Meaning::Other("tags of dnsmasq"),
        };
    }
    if text.starts_with('[') && text.contains(':') {
        return Meaning::Other("IPv6 addresses");
    }
    if text.contains(':') {
        if text.contains('*') {
            return Meaning::NoBoard("a MAC address with * is of many boards".into());
        }
        if let Some((kind, rest)) = text.split_once('-').filter(|(kind, _)| !kind.contains(':')) {
            // The type of the hardware, of which 1 is Ethernet.
            return match u32::from_str_radix(kind, 16) {
                Ok(1) => Meaning::Mac(colons(rest).unwrap_or_else(|| rest.to_owned())),
                _ => Meaning::NoBoard(format!("{} is no address of Ethernet", short(text))),
            };
        }
        return Meaning::Mac(colons(text).unwrap_or_else(|| text.to_owned()));
    }
    if text.parse::<Ipv4Addr>().is_ok() {
        return Meaning::Address;
    }
    let number = text.trim_end_matches(|char: char| "wdhms".contains(char.to_ascii_lowercase()));
    let is_time =
        text.len() - number.len() < 2 && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b' ');
    match text {
        "" => Meaning::Nothing,
        "ignore" => Meaning::NoBoard("`ignore`: dnsmasq gives it no address".into()),
        "infinite" => Meaning::Other("lease times"),
        _ if is_time && !number.is_empty() => Meaning::Other("lease times"),
        _ => Meaning::Hostname,
    }
}

/// Bytes in hex between colons, each with two digits: dnsmasq takes one as well.
fn colons(text: &str) -> Option<String> {
    let bytes: Vec<_> = text.split(':').collect();
    let is_byte =
        |byte: &&str| (1..=2).contains(&byte.len()) && byte.bytes().all(|digit| digit.is_ascii_hexdigit());
    let padded = || bytes.iter().map(|byte| format!("{byte:0>2}")).collect::<Vec<_>>().join(":");
    (bytes.len() == 6 && bytes.iter().all(is_byte)).then(padded)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use identity_ui::Result;

    use super::*;

    fn read(text: &str) -> Result<Found> {
        super::read(&Input::new(Path::new("x"), text)).whole()
    }

    fn values(board: &Incoming) -> String {
        let value = |(name, value): (&String, &super::super::Value)| format!("{name}={}", value.text);
        board.values.iter().map(value).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_field_means_what_dnsmasq_takes_it_for() {
        for (line, expected) in [
            ("02:00:00:00:00:01,a", "hostname=a mac0=02:00:00:00:00:01"),
            ("2:0:0:0:0:A,a,12h", "hostname=a mac0=02:00:00:00:00:0a"),
            (" 02:00:00:00:00:01 , a , 10.0.0.1 ", "hostname=a ip=10.0.0.1 mac0=02:00:00:00:00:01"),
            ("a,10.0.0.1,infinite", "hostname=a ip=10.0.0.1"),
            ("\"a\",10.0.0.1,5 m # b", "hostname=a ip=10.0.0.1"),
            ("1-02:00:00:00:00:01,a", "hostname=a mac0=02:00:00:00:00:01"),
            (
                "02:00:00:00:00:01,02:00:00:00:00:02,a,[fd00::1],[::2/126]",
                "hostname=a mac0=02:00:00:00:00:01 mac1=02:00:00:00:00:02",
            ),
            (
                "02:00:00:00:00:01,set:profile-p,set:board-a,set:x,tag:y,net:z,a",
                "hostname=a mac0=02:00:00:00:00:01 profile=p",
            ),
            ("id:01:02:00:00:00:00:01,a", "hostname=a"),
            ("ID:\"b,c\",a,,3600", "hostname=a"),
            ("02:00:00:00:00:01,02005e1000ab", "hostname=02005e1000ab mac0=02:00:00:00:00:01"),
            ("h,10.0.0.1", "hostname=h ip=10.0.0.1"),
        ] {
            for text in [
                format!("{line}\n"),
                format!("# c\n\ndhcp-host={line}"),
                format!("domain-needed\n dhcp-host = {line}\r\nport=0\r\n"),
            ] {
                let found = read(&text).unwrap();
                let [board] = &found.boards[..] else { panic!("{text}: {found:?}") };
                assert_eq!(values(board), expected, "{text}");
                assert_eq!(found.left_out, []);
            }
        }
        let ignored = read("id:x,set:y,[::1],12h,a\n").unwrap().ignored;
        assert_eq!(
            ignored.iter().map(String::as_str).collect::<Vec<_>>(),
            ["IPv6 addresses", "client identifiers", "lease times", "tags of dnsmasq"]
        );
    }

    #[test]
    fn a_line_that_names_no_board_is_left_out() {
        for (line, why) in [
            ("02:00:00:00:00:01,ignore", "`ignore`"),
            ("a,ignore", "`ignore`"),
            ("02:00:00:00:00:01,10.0.0.1", "no hostname"),
            ("02:00:00:00:*:*,a", "of many boards"),
            ("06-02:00:00:00:00:01,a", "no address of Ethernet"),
            ("dhcp-hostsfile=/etc/hosts.conf\ndhcp-host=", "import that file too"),
        ] {
            let found = read(&format!("{line}\n")).unwrap();
            assert!(found.boards.is_empty() && found.left_out[0].1.contains(why), "{line}: {found:?}");
        }
    }

    #[test]
    fn what_is_in_doubt_is_refused_with_its_place() {
        for (line, said) in [
            ("02-00-00-00-00-01,a", "x:2:11: dhcp-host: dnsmasq takes \"02-00-00-00-00-01\" for no MAC"),
            ("a,0200.5e10.0001", "x:2:13: dhcp-host: dnsmasq takes"),
            ("a,020000000001", "x:2:13: dhcp-host: dnsmasq takes"),
            ("02:00:00:00:00:01,a,b", "x:2:31: dhcp-host: a second hostname, \"b\""),
            ("a,10.0.0.1,10.0.0.2", "x:2:22: dhcp-host: a second IPv4 address"),
            ("a,02:00:00:00:00", "x:2:13: mac0: \"02:00:00:00:00\" is not six pairs"),
            ("a,03:00:00:00:00:01", "x:2:13: mac0: "),
            ("02:00:00:00:00:01, a_b", "x:2:30: hostname: \"a_b\""),
            ("02:00:00:00:00:01,1.2.3", "x:2:29: hostname: resolvers take 1.2.3"),
            ("a,\"10.0.0.1", "x:2:13: dhcp-host: this quote is not closed"),
            ("a,fd00::1", "x:2:13: mac0: "),
        ] {
            let failure = read(&format!("\ndhcp-host={line}\n")).expect_err(line).to_string();
            assert!(failure.starts_with(said), "{failure}");
        }
    }
}
