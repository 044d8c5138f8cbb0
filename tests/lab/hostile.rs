// SPDX-License-Identifier: MIT OR Apache-2.0
//! Texts that mean something in a shell, in YAML, HTML, ZPL, a template or a server's configuration: in every file that comes of
//! the list they are escaped, or the list refuses them.

use std::collections::BTreeSet;
use std::path::Path;

use identity_tests::cli::tool;
use identity_tests::lab::program;
use identity_tests::run_where_installed;
use serde_json::{Value, json};

use crate::exports::python;
use crate::page::{browse, browsed};
use crate::{Lab, UUID};

/// Each is in all cells of one board that may hold it. No hostname, profile, UUID or address is among them.
const HOSTILE: [&str; 26] = [
    "'\"",
    "<script>alert(1)</script>",
    "</td><img src=x onerror=alert(1)>",
    "&lt;",
    "^XA^FDx^FS^XZ",
    "~JR_5E",
    "%s%n%%",
    "$(touch pwned)",
    "`touch pwned`",
    "${PATH}",
    "{{ lookup('pipe', 'touch pwned') }}",
    "{% set x = 1 %}",
    "{# x #}",
    "# x",
    "## x",
    "\\",
    "\\n\\x20\\u0041",
    "; reboot",
    "a,dhcp-range=10.0.0.0,static",
    "*: &x !!python/object/apply:os.system ['touch pwned']",
    "../../etc/passwd",
    "x-->",
    "]]>",
    "\u{fc}\u{202e}\u{1f4a9}",
    "</script><script>alert(1)</script>",
    "a\u{2028}b\u{2029}{{rows}}",
];
/// Formats that hold nothing but hostnames, profiles, UUIDs and addresses.
const BARE: [&str; 5] = ["dnsmasq", "hosts", "kea", "labgrid", "ssh-known-hosts"];
/// Formats that hold more, each with its reader below.
const READ_BACK: [&str; 6] = ["ansible", "csv", "html", "json", "labgrid-places", "lava"];
/// Formats of labels, which hold a hostname, a profile and a MAC address.
const LABELS: [&str; 3] = ["pdf", "svg", "zpl"];

fn quoted(cell: &str) -> String {
    format!("\"{}\"", cell.replace('"', "\"\""))
}

/// One tag: it ends at a blank.
fn tag(text: &str) -> String {
    text.replace(char::is_whitespace, "_")
}

/// The text of a board: with its number, for Ansible makes the same group of two names that differ in signs only.
fn numbered(text: &str, number: usize) -> String {
    format!("{text}{number:02}")
}

/// A board for each text, panda-01 and so on; and a column whose name has them all.
fn lab(texts: &[&str]) -> Lab {
    let lab = Lab::with_network("");
    let head = "hostname,profile,uuid,ip,location,tags,note,var.k,var.lava_device_type";
    let mut list = format!("{head},{}\n", quoted(&texts.join(" ")));
    for (number, text) in (1..).zip(texts) {
        let text = numbered(text, number);
        let cell = quoted(&text);
        let uuid = format!("{}{number:02}", &UUID[..UUID.len() - 2]);
        let board = format!("panda-{number:02},panda,{uuid},192.168.7.2{number:02}");
        list += &format!("{board},{cell},{},{cell},{cell},{cell},{cell}\n", quoted(&tag(&text)));
    }
    lab.write("boards.csv", list);
    lab
}

/// What clap says that an option takes.
fn possible(lab: &Lab, words: &[&str]) -> BTreeSet<String> {
    let said = lab.run(words).exits(2).stderr;
    let list = said.split("[possible values: ").nth(1).and_then(|rest| rest.split(']').next());
    list.expect("a list of values").split(", ").map(str::to_owned).collect()
}

/// As the programs read them that the files are for: location, tags and, where it is there, more of each board.
const READ: &str = r#"
import csv, html.parser, jinja2, json, os, sys, yaml
os.chdir(sys.argv[1])
def plain(value):
    return value['__ansible_unsafe'] if isinstance(value, dict) else value
class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.rows, self.names, self.inside = [], set(), False
    def handle_starttag(self, name, attributes):
        self.names.add(name)
        self.inside = name in ('th', 'td', 'span') and bool(self.rows)
        if name == 'tr':
            self.rows.append([])
        elif name in ('th', 'td'):
            self.rows[-1].append('')
    def handle_endtag(self, name):
        self.inside = self.inside and name == 'span'
    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data
page = Page()
page.feed(open('html', encoding='utf-8').read())
names, *cells = page.rows
pages = {row[0]: dict(zip(names, row)) for row in cells}
hosts = json.load(open('ansible'))['_meta']['hostvars']
places = yaml.safe_load(open('labgrid-places'))
rows = {row['hostname']: row for row in csv.DictReader(open('csv', newline='', encoding='utf-8'))}
boards = {row['hostname']: row for row in json.load(open('json'))}
templates = jinja2.Environment(loader=jinja2.FileSystemLoader('lava'))
lava = {name: templates.get_template(name + '.identity.jinja2').module.sync_to_lava for name in rows}
print(json.dumps({
    'ansible': {name: [plain(host[key]) for key in ('identity_location', 'identity_var_k')] + [plain(tag) for tag in host['identity_tags']]
                for name, host in hosts.items()},
    'labgrid-places': {name: [place['tags']['location']] + [tag for tag in place['tags'] if tag not in ('location', 'profile')]
                       for name, place in places.items()},
    'csv': {name: [row[key] for key in ('location', 'note', 'var.k', list(row)[9], 'tags')]
            for name, row in rows.items()},
    'json': {name: [board['location'], board['variables']['k']] + board['tags'] for name, board in boards.items()},
    'lava': {name: [sync['device_type']] + sync['tags'] for name, sync in lava.items()},
    'html': {name: [row[key] for key in ('location', 'note', 'var.k', names[-1], 'tags')] for name, row in pages.items()},
    'names': [list(row)[9] for row in rows.values()] + names[-1:],
    'elements': sorted(page.names),
}))"#;

#[test]
fn every_export_and_label_escapes_what_is_hostile_or_does_without() {
    let (hostile, harmless) = (lab(&HOSTILE), lab(&["x"; HOSTILE.len()]));
    // A format that is added later is judged here as well.
    let formats: BTreeSet<_> = BARE.iter().chain(&READ_BACK).map(|name| (*name).to_owned()).collect();
    assert_eq!(possible(&hostile, &["export", "no-format"]), formats);
    let labels: BTreeSet<_> = LABELS.map(str::to_owned).into();
    assert_eq!(possible(&hostile, &["label", "panda-01", "--format", "no-format"]), labels);

    for format in BARE {
        let [bad, good] = [&hostile, &harmless].map(|lab| lab.run(&["export", format]).exits(0).stdout);
        assert_eq!(bad, good, "{format}");
    }
    for format in LABELS {
        for (words, name) in [(&[][..], "panda-01"), (&["--size", "50x25"], "panda-24")] {
            let file = |lab: &Lab| {
                lab.run(&[&["label", name, "--format", format, "-o", "label"], words].concat()).exits(0);
                std::fs::read(lab.path("label")).expect("the label")
            };
            assert!(file(&hostile) == file(&harmless), "{format}");
        }
    }
    for format in READ_BACK {
        hostile.run(&["export", format, "--output", format]).exits(0);
    }
    let Some(read) = python(Path::new("python3"), READ, &hostile) else { return };
    for (number, text) in (1..).zip(HOSTILE) {
        let (name, text) = (format!("panda-{number:02}"), numbered(text, number));
        let tag = tag(&text);
        for (format, expected) in [
            ("ansible", json!([text, text, tag])),
            ("labgrid-places", json!([text, tag])),
            ("csv", json!([text, text, text, text, tag])),
            ("html", json!([text, text, text, text, tag])),
            ("json", json!([text, text, tag])),
            ("lava", json!([text, tag])),
        ] {
            assert_eq!(read[format][&name], expected, "{format}");
        }
    }
    let names = read["names"].as_array().expect("a list");
    assert!(names.iter().all(|name| *name == HOSTILE.join(" ")), "{names:?}");
    assert!(!hostile.path("pwned").exists());
}

/// Ansible takes the values of an inventory for templates, and a template runs programs.
#[test]
fn ansible_runs_nothing_that_stands_in_the_list() {
    let lab = lab(&HOSTILE);
    let bin = lab.path("bin");
    std::fs::create_dir(&bin).expect("a directory");
    std::os::unix::fs::symlink(program(), bin.join("identity-lab")).expect("a link");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let mut ansible = tool("ansible");
    ansible.env("PATH", path).env("HOME", lab.path("")).current_dir(lab.dir.path());
    ansible.env("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED", "true").env("ANSIBLE_NOCOLOR", "1");
    let message = "msg=<{{ identity_location }}|{{ identity_tags[0] }}|{{ identity_var_k }}>";
    ansible.args(["-i", "inventory", "panda-01:panda-11", "-c", "local", "-m", "debug", "-a", message]);
    let Some(said) = run_where_installed(&mut ansible) else { return };
    let text = numbered(HOSTILE[10], 11);
    assert!(text.starts_with("{{ lookup"), "the one that runs a program");
    assert!(said.contains(&format!("<{text}|{}|{text}>", tag(&text))), "{said}");
    assert!(!lab.path("pwned").exists(), "{said}");
}

#[test]
fn where_a_name_or_an_address_belongs_the_list_takes_nothing_hostile() {
    let lab = Lab::with_network("");
    let head = "hostname,profile,uuid,serial,mac0,ip,location,sshkey";
    let columns: Vec<_> = head.split(',').collect();
    let write = |column: usize, cell: &str| {
        let mut cells = ["a", "panda", UUID, "", "", "", "", ""].map(str::to_owned);
        cells[column] = cell.to_owned();
        lab.write("boards.csv", format!("{head}\n{}\n", cells.join(",")));
    };
    for (column, name) in columns.iter().enumerate() {
        for text in HOSTILE {
            let said = format!("{name}: ");
            match *name {
                "serial" | "location" => (),
                "sshkey" => {
                    write(column, &quoted(&format!("ssh-ed25519 {text}")));
                    lab.run(&["export", "ssh-known-hosts"]).exits(4).says(&["boards.csv:2:", &said]);
                }
                _ => {
                    write(column, &quoted(text));
                    lab.run(&["list"]).exits(4).says(&["boards.csv:2:", &said]);
                }
            }
        }
        // No cell ends a line in a file of another program.
        for text in ["a\nb", "a\r\nb", "a\rb", "a\u{85}b", "a\u{0}b", "a\u{1b}[2Jb"] {
            write(column, &quoted(text));
            lab.run(&["list"]).exits(4).says(&["boards.csv:2:", &format!("{name}: ")]);
        }
    }
    write(6, "R3");
    for text in HOSTILE {
        let text = Value::from(text).to_string();
        lab.write("lab.toml", format!("name = {text}\n"));
        lab.run(&["list"]).exits(4).says(&["lab.toml:1: name: "]);
    }
}

/// What a profile may have in its name, and means something to a printer.
#[test]
fn a_label_printer_prints_an_underscore_and_takes_it_for_no_escape() {
    let lab = Lab::with_network("");
    std::fs::rename(lab.path("profiles/panda.toml"), lab.path("profiles/a_5E.toml")).expect("own file");
    lab.write("boards.csv", format!("hostname,profile,uuid\na,a_5E,{UUID}\n"));
    let label = lab.run(&["label", "a", "--format", "zpl", "--size", "50x25"]).exits(0).stdout;
    assert!(label.contains("^FDa_5F5E^FS"), "{label}");
}

/// A browser makes of each text what it is, shows it, filters by it, and runs nothing.
#[test]
fn a_page_shows_hostile_texts_and_runs_none() {
    let lab = lab(&HOSTILE);
    let script = "
const page = await open();
return page.evaluate(() => {
    const row = row => [...row.cells].map(cell => cell.textContent);
    const found = {rows: [...document.querySelectorAll('tr')].map(row)};
    found.options = [...document.querySelectorAll('option')].map(option => option.text);
    const dialog = document.querySelector('dialog');
    found.dialogs = [...document.querySelectorAll('tbody button')].map(button => {
        button.click();
        const texts = [...dialog.querySelectorAll('dd')].map(text => text.textContent);
        dialog.close();
        return texts;
    });
    found.elements = [...new Set([...document.body.querySelectorAll('*')].map(one => one.localName))].sort().join(' ');
    found.attributes = [...new Set([...document.querySelectorAll('tbody *')].flatMap(one => one.getAttributeNames()))].sort().join(' ');
    found.scripts = document.scripts.length;
    return found;
});";
    let Some(found) = browse(&lab, script) else { return };
    let elements = "button caption code dd dialog dl dt form h1 h2 header input label main option output p path select span svg \
                    table tbody td th thead tr";
    assert_eq!(found["elements"], elements);
    assert_eq!(found["attributes"], "aria-haspopup class data-code data-name id scope type");
    assert_eq!(found["scripts"], 1);
    let strings = |list: &Value| -> BTreeSet<String> {
        list.as_array().expect("a list").iter().map(|text| text.as_str().expect("text").to_owned()).collect()
    };
    assert!(strings(&found["rows"][0]).contains(&HOSTILE.join(" ")));
    for (number, text) in (1..).zip(HOSTILE) {
        let (text, tag) = (numbered(text, number), tag(&numbered(text, number)));
        for list in [&found["rows"][number], &found["dialogs"][number - 1], &found["options"]] {
            let texts = strings(list);
            assert!(texts.contains(&text) && texts.contains(&tag), "{text}: {texts:?}");
        }
    }
}

/// What may run in a page is one script and one style, by their hashes; nothing that comes into it later, and nothing asks a server.
#[test]
fn a_page_lets_no_other_script_run_and_asks_nobody() {
    let lab = lab(&HOSTILE);
    let script = "
const http = await import('node:http'), fs = await import('node:fs');
const asked = [];
const server = http.createServer((request, response) => {
    asked.push(request.url);
    response.setHeader('Content-Type', 'text/html');
    response.end(fs.readFileSync('boards.html'));
});
await new Promise(done => server.listen(0, '127.0.0.1', done));
const page = await open({url: `http://127.0.0.1:${server.address().port}/boards`});
const ran = await page.evaluate(async () => {
    const add = (name, more) => document.body.append(Object.assign(document.createElement(name), more));
    add('script', {textContent: 'globalThis.ran = true'});
    add('script', {src: '/script.js'});
    add('img', {src: '/picture.png'});
    add('iframe', {src: '/frame.html'});
    add('div', {innerHTML: '<b onclick=\"ran = true\" style=\"color: red\">x</b>'});
    document.querySelector('b').click();
    add('form', {action: '/form', id: 'new'});
    document.querySelector('#new').submit();
    const failed = await fetch('/fetched').catch(() => 'refused');
    await new Promise(done => setTimeout(done, 300));
    return [globalThis.ran ?? null, failed, getComputedStyle(document.querySelector('b')).color === 'rgb(255, 0, 0)'];
});
await page.close();
server.close();
return {ran, asked};";
    let Some(found) = browsed(&lab, script) else { return };
    assert_eq!(found["value"]["ran"], json!([null, "refused", false]), "{found}");
    assert_eq!(found["value"]["asked"], json!(["/boards"]), "{found}");
    // Each of them is told.
    assert!(found["errors"].as_array().map(Vec::len) >= Some(6), "{found}");
}
