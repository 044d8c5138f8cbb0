// SPDX-License-Identifier: MIT OR Apache-2.0
//! `export html`: the page as Chromium shows it, and what a person does with it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use identity_tests::cli::tool;
use identity_tests::{run_where_installed, skipped, workspace};
use serde_json::{Value, json};

use crate::labels::{codes, urn};
use crate::{Lab, UUID};

/// Boards whose names are in another order as numbers than as bytes; the last one is not in the network.
fn lab() -> Lab {
    let lab = Lab::with_network("");
    lab.write("profiles/tiger.toml", lab.read("profiles/panda.toml"));
    let uuid = |number: u8| format!("{}{number:02}", &UUID[..UUID.len() - 2]);
    let line = |number: u8, name: &str, rest: &str| format!("{name},{rest},{}\n", uuid(number));
    lab.write(
        "boards.csv",
        [
            "hostname,profile,ip,location,tags,note,var.slot,uuid\n".to_owned(),
            line(1, "panda-1", "panda,192.168.7.9,R10,poe spare,,seven"),
            line(2, "panda-10", "panda,192.168.7.10,R2,poe,Out on loan,"),
            line(3, "panda-2", "panda,,,,,"),
            line(4, "tiger-1", "tiger,192.168.8.1,R2,camera,,"),
        ]
        .concat(),
    );
    lab
}

/// The page of a lab.
fn page(lab: &Lab) -> PathBuf {
    lab.run(&["export", "html", "--output", "boards.html"]).exits(0);
    lab.path("boards.html")
}

/// puppeteer-core and axe-core.
fn page_tools() -> Option<&'static Path> {
    static TOOLS: OnceLock<Option<PathBuf>> = OnceLock::new();
    let make = || {
        let output = Command::new(workspace().join("tests/lib/page-tools")).output().ok()?;
        let path = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| path.trim().into())
    };
    let tools = TOOLS.get_or_init(make).as_deref();
    if tools.is_none() {
        skipped("puppeteer-core and axe-core cannot be fetched (tests/lib/page-tools)");
    }
    tools
}

/// Runs a script of `page.mjs` on the page of a lab: what it returned, what was asked for, what went wrong.
pub fn browsed(lab: &Lab, script: &str) -> Option<Value> {
    let tools = page_tools()?;
    run_where_installed(tool("chromium").arg("--version"))?;
    let mut node = tool("node");
    node.arg(workspace().join("tests/lab/page.mjs")).arg(tools).arg(page(lab)).arg(script);
    node.env("HOME", lab.path("")).current_dir(lab.dir.path());
    let printed = run_where_installed(&mut node)?;
    Some(serde_json::from_str(printed.trim()).expect("JSON"))
}

/// The same where, as always, nothing goes wrong, and nothing is asked for but the page itself.
#[track_caller]
pub fn browse(lab: &Lab, script: &str) -> Option<Value> {
    let mut browsed = browsed(lab, script)?;
    assert_eq!(browsed["errors"], json!([]));
    let own = format!("file://{}/", lab.dir.path().display());
    let requests =
        browsed["requests"].as_array().expect("a list").iter().map(|url| url.as_str().expect("text"));
    let requests: Vec<_> = requests.map(|url| url.strip_prefix(&own).unwrap_or(url)).collect();
    assert!(requests.iter().all(|name| ["boards.html", "plain.html"].contains(name)), "{requests:?}");
    assert!(!requests.is_empty());
    Some(browsed["value"].take())
}

#[test]
fn search_and_filters_leave_the_boards_that_are_wanted() {
    let lab = lab();
    let script = "
const page = await open(), found = {};
const type = async text => {
    await page.$eval('input', input => input.value = '');
    await page.type('input', text || ' ');
    found[text] = await shown(page);
};
for (const text of ['', 'PANDA', 'panda r2', 'on loan', 'seven', '7.1', 'boards.csv:5', '5a37', 'URN:UUID:UUID03', 'pandar2'])
    await type(text.replace('UUID03', 'BEGIN'.toUpperCase()));
found.status = await page.$eval('output', output => output.textContent);
await page.click('button[type=reset]');
await page.waitForFunction(() => !document.querySelector('tr[hidden]'));
found.reset = [await focused(page), await page.$eval('output', output => output.textContent)];
for (const [number, value] of [[0, '=tiger'], [1, '=R2'], [1, '-'], [2, '=poe'], [2, '-'], [3, '+'], [3, '-']]) {
    const selects = await page.$$('select');
    await selects[number].select(value);
    found[number + value] = await shown(page);
    await selects[number].select('');
}
found.filters = await page.$$eval('form label', labels => labels.map(label =>
    [label.firstChild.textContent, ...[...label.lastChild.options].map(option => option.text)]));
return found;";
    let begin = format!("{}03", &UUID[..UUID.len() - 2]);
    let Some(found) = browse(&lab, &script.replace("'BEGIN'", &format!("'{begin}'"))) else { return };
    let scanned = format!("URN:UUID:{}", begin.to_uppercase());
    let all = json!(["panda-1", "panda-10", "panda-2", "tiger-1"]);
    for (what, boards) in [
        ("", all),
        ("PANDA", json!(["panda-1", "panda-10", "panda-2"])),
        ("panda r2", json!(["panda-10"])),
        ("on loan", json!(["panda-10"])),
        ("seven", json!(["panda-1"])),
        ("7.1", json!(["panda-10"])),
        ("boards.csv:5", json!(["tiger-1"])),
        (&scanned, json!(["panda-2"])),
        // Each cell is searched for itself.
        ("pandar2", json!([])),
        ("0=tiger", json!(["tiger-1"])),
        ("1=R2", json!(["panda-10", "tiger-1"])),
        ("1-", json!(["panda-2"])),
        ("2=poe", json!(["panda-1", "panda-10"])),
        ("2-", json!(["panda-2"])),
        ("3+", json!(["tiger-1"])),
        ("3-", json!(["panda-1", "panda-10", "panda-2"])),
    ] {
        assert_eq!(found[what], boards, "{what}");
    }
    assert_eq!(found["status"], "0 of 4 boards");
    assert_eq!(found["reset"], json!(["input", ""]));
    let filters = json!([
        ["profile", "all", "panda", "tiger"],
        ["location", "all", "R2", "R10", "none"],
        ["tags", "all", "camera", "poe", "spare", "none"],
        ["findings", "all", "some", "none"]
    ]);
    assert_eq!(found["filters"], filters);
}

#[test]
fn each_column_sorts_the_boards_up_and_down() {
    let lab = lab();
    let script = "
const page = await open(), found = {};
const names = await page.$$eval('thead th', heads => heads.map(head => head.textContent));
for (const [column, name] of names.entries()) for (const direction of ['up', 'down']) {
    const button = await page.$(`thead th:nth-child(${column + 1}) button`);
    await (direction === 'up' ? button.click() : button.press('Enter'));
    const sorts = await page.$$eval('th', heads => heads.map(head => head.getAttribute('aria-sort')));
    found[`${name} ${direction}`] = [(await shown(page)).join(' '), sorts.findIndex(Boolean) === column, sorts.filter(Boolean)];
}
return found;";
    let Some(found) = browse(&lab, script) else { return };
    // Numbers count as numbers; what is empty comes last; what is equal stays in the order of the list.
    for (name, up, down) in [
        ("hostname", "panda-1 panda-2 panda-10 tiger-1", "tiger-1 panda-10 panda-2 panda-1"),
        ("profile", "panda-1 panda-10 panda-2 tiger-1", "tiger-1 panda-1 panda-10 panda-2"),
        ("location", "panda-10 tiger-1 panda-1 panda-2", "panda-1 panda-10 tiger-1 panda-2"),
        ("tags", "tiger-1 panda-10 panda-1 panda-2", "panda-1 panda-10 tiger-1 panda-2"),
        ("ip", "panda-1 panda-10 tiger-1 panda-2", "tiger-1 panda-10 panda-1 panda-2"),
        ("uuid", "panda-1 panda-10 panda-2 tiger-1", "tiger-1 panda-2 panda-10 panda-1"),
    ] {
        assert_eq!(found[format!("{name} up")], json!([up, true, ["ascending"]]), "{name}");
        assert_eq!(found[format!("{name} down")], json!([down, true, ["descending"]]), "{name}");
    }
    let columns =
        ["hostname", "profile", "location", "tags", "ip", "note", "findings", "mac0", "uuid", "var.slot"];
    assert_eq!(found.as_object().map(serde_json::Map::len), Some(2 * columns.len()), "{found}");
    for name in columns {
        assert_eq!(found[format!("{name} up")][1], true, "{name}");
    }
}

#[test]
fn a_board_s_code_is_shown_by_keys_alone_and_read_by_a_camera() {
    let lab = lab();
    let script = "
const found = {};
for (const [scheme, width] of [['light', 1280], ['dark', 1280], ['light', 360]]) {
    const page = await open({scheme, width}), is = found[scheme + width] = [];
    const press = async (...keys) => { for (const key of keys) await page.keyboard.press(key); is.push(await focused(page)); };
    const isOpen = () => page.$eval('dialog', dialog => dialog.open);
    await press('/');
    await page.keyboard.type('a-1');
    // Behind the search come four filters, the button that ends it, and the one finding; then ten columns.
    await press(...Array(5).fill('Tab'));
    await press(...Array(3).fill('Tab'));
    await press('Enter', 'Enter', ...Array(10).fill('Tab'));
    await press('ArrowDown');
    await press('ArrowDown', 'ArrowDown');
    await press('ArrowUp', 'Enter');
    is.push(await isOpen(), await page.$eval('dialog h2', title => title.textContent));
    await page.screenshot({path: `code-${scheme}${width}.png`});
    await press('Escape');
    is.push(await isOpen());
}
// A scanner types what is on a label, and Enter.
const page = await open();
await page.focus('input');
await page.keyboard.type('URNÖUUIDÖ' + 'BEGIN02'.replaceAll('-', 'ß'));
await page.keyboard.press('Enter');
found.scanned = await page.$eval('dialog', dialog => [dialog.open, dialog.querySelector('h2').textContent]);
found.list = await page.$eval('dl', list => list.innerText);
await page.keyboard.press('Enter');
found.closed = [await page.$eval('dialog', dialog => dialog.open), await focused(page)];
return found;";
    let begin = &UUID[..UUID.len() - 2];
    let Some(found) = browse(&lab, &script.replace("BEGIN", &begin.to_uppercase())) else { return };
    for name in ["light1280", "dark1280", "light360"] {
        // Sorted down by hostname, and panda-2 is not among them.
        let is = json!([
            "input", "Show all", "hostname", "panda-10", "panda-1", "panda-1", "Close", true, "panda-10",
            "panda-10", false
        ]);
        assert_eq!(found[name], is, "{name}");
        let Some(read) = codes(&lab.path(&format!("code-{name}.png"))) else { return };
        assert_eq!(read, [urn(&format!("{begin}02"))], "{name}");
    }
    assert_eq!(found["scanned"], json!([true, "panda-10"]));
    assert_eq!(found["closed"], json!([false, "input"]));
    let list = found["list"].as_str().expect("text");
    assert!(list.contains("note\nOut on loan") && list.contains("192.168.7.10"), "{list}");
}

/// What is counted is the browser's work, not its time: no row is made anew, those that stay as they are are not touched, and
/// those out of sight are not laid out.
#[test]
fn five_thousand_boards_are_all_there_and_a_search_touches_those_that_change() {
    let lab = Lab::new();
    lab.run(&["add", "panda-[0001-5000]", "--profile", "panda", "--location", "R3", "--tags", "poe"])
        .exits(0);
    let script = "
const page = await open();
const rows = condition => page.evaluate(`[...document.querySelectorAll('tbody tr')].filter(row => ${condition}).length`);
const found = {rows: await rows('true'), shown: (await shown(page)).length};
found.elements = await page.evaluate(() => document.querySelectorAll('tbody *').length);
await page.evaluate(() => {
    globalThis.changes = [];
    new MutationObserver(list => changes.push(...list.map(({type, attributeName}) => `${type} ${attributeName}`)))
        .observe(document.querySelector('tbody'), {subtree: true, childList: true, attributes: true, characterData: true});
});
found.steps = [];
for (const key of 'panda-0042') {
    const before = await rows('!row.hidden');
    await page.type('input', key);
    const changes = await page.evaluate(() => globalThis.changes.splice(0));
    found.steps.push([before - await rows('!row.hidden'), changes.length, changes.every(name => name === 'attributes hidden')]);
}
found.one = await shown(page);
await page.click('button[type=reset]');
await page.waitForFunction(() => !document.querySelector('tr[hidden]'));
await page.click('thead button');
await page.click('thead button');
found.last = (await shown(page))[0];
found.laid = await rows('row.firstChild.checkVisibility({contentVisibilityAuto: true})');
return found;";
    let Some(found) = browse(&lab, script) else { return };
    assert_eq!(found["rows"], 5000);
    assert_eq!(found["shown"], 5000);
    // A row, its six cells, a button and a tag.
    assert_eq!(found["elements"], 5000 * (1 + 6 + 2));
    let steps = found["steps"].as_array().expect("a list");
    for step in steps {
        assert!(step[0] == step[1] && step[2] == true, "{steps:?}");
    }
    assert!(steps.iter().any(|step| step[0].as_u64() > Some(1000)), "{steps:?}");
    assert_eq!(found["one"], json!(["panda-0042"]));
    assert_eq!(found["last"], "panda-5000");
    assert!(found["laid"].as_u64() < Some(200), "{found}");
    let bytes = lab.read("boards.html").len();
    assert!(bytes < 5000 * 500, "{bytes} bytes");
}

#[test]
fn axe_finds_nothing_in_light_and_dark_and_on_a_telephone() {
    let lab = lab();
    let script = "
const found = {};
for (const [scheme, width] of [['light', 1280], ['dark', 1280], ['light', 360], ['dark', 360]]) {
    const page = await open({scheme, width});
    const is = found[scheme + width] = {page: await axe(page)};
    await page.select('select', '=panda');
    await page.click('thead button');
    is.sorted = await axe(page);
    is.wide = await page.evaluate(() => [...document.body.querySelectorAll('*')]
        .filter(one => one.getBoundingClientRect().right > screen.width).map(one => one.outerHTML));
    await page.click('tbody tr:not([hidden]) button');
    is.dialog = await axe(page);
    is.dark = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
}
// Axe is a script; so a page that has none of its own.
const fs = await import('node:fs');
fs.writeFileSync('plain.html', fs.readFileSync('boards.html', 'utf8').replace(/<script>.*<.script>/s, ''));
found.plain = await axe(await open({url: `file://${process.cwd()}/plain.html`}));
// A window in between: what is around the table, and the names of the boards, stay while it is moved.
const narrow = await open({width: 800});
found.moved = await narrow.evaluate(() => {
    scrollTo(300, 0);
    const left = name => Math.round(document.querySelector(name).getBoundingClientRect().left);
    return [scrollX, ...['header', 'form', 'section', 'thead th', 'tbody th', 'td'].map(left)];
});
return found;";
    let Some(found) = browse(&lab, script) else { return };
    let (white, black) = (json!("rgb(255, 255, 255)"), json!("rgb(18, 20, 23)"));
    for (name, paper) in
        [("light1280", &white), ("dark1280", &black), ("light360", &white), ("dark360", &black)]
    {
        for state in ["page", "sorted", "dialog"] {
            assert_eq!(found[name][state], json!([]), "{name}, {state}");
        }
        assert_eq!(found[name]["dark"], *paper, "{name}");
    }
    assert_eq!(found["plain"], json!([]));
    let moved = found["moved"].as_array().expect("a list");
    assert_eq!(moved[..6], [300, 0, 0, 0, 0, 0].map(Value::from));
    assert!(moved[6].as_i64() < Some(0), "{moved:?}");
    for name in ["light360", "dark360"] {
        assert_eq!(found[name]["wide"], json!([]), "{name}");
    }
}

#[test]
fn what_is_printed_has_every_board_and_each_page_its_columns() {
    let lab = Lab::with_network("");
    // More findings than are shown without being asked for.
    let line = |number: u32| {
        format!("panda-{number:03},panda,{:032x},10.0.0.{number}\n", 0x4000_8000_u128 + u128::from(number))
    };
    lab.write(
        "boards.csv",
        "hostname,profile,uuid,ip\n".to_owned() + &(1..=200).map(line).collect::<String>(),
    );
    let script = "
for (const scheme of ['light', 'dark']) {
    const page = await open({scheme, width: scheme === 'light' ? 1280 : 360});
    await page.pdf({path: `${scheme}.pdf`, format: 'A4', printBackground: true});
}";
    if browse(&lab, script).is_none() {
        return;
    }
    for name in ["light", "dark"] {
        let pdf = lab.path(&format!("{name}.pdf"));
        let Some(text) = run_where_installed(tool("pdftotext").arg("-layout").arg(&pdf).arg("-")) else {
            return;
        };
        let words: Vec<_> = text.split_whitespace().collect();
        for number in 1..=200 {
            // In the table, and in the summary.
            let place = format!("boards.csv:{}:", number + 1);
            assert!(
                words.iter().filter(|word| word.starts_with(&place)).count() == 2,
                "{name}: {place}\n{text}"
            );
            assert!(words.contains(&&format!("panda-{number:03}")[..]), "{name}: {number}\n{text}");
        }
        let pages = text.split('\u{c}').filter(|page| page.contains("panda-")).collect::<Vec<_>>();
        assert!(pages.len() > 3, "{}", pages.len());
        let with_names = pages.iter().filter(|page| page.matches("hostname").count() == 1);
        assert_eq!(with_names.count(), pages.len(), "{text}");
        // On paper it is dark on light.
        let mut picture = tool("pdftoppm");
        picture
            .args(["-r", "20", "-gray", "-f", "2", "-l", "2", "-singlefile"])
            .arg(&pdf)
            .arg(lab.path(name));
        if run_where_installed(&mut picture).is_none() {
            return;
        }
        let bytes = std::fs::read(lab.path(&format!("{name}.pgm"))).expect("a picture");
        let light = bytes.iter().filter(|byte| **byte > 200).count();
        assert!(light * 10 > bytes.len() * 8, "{name}: {light} of {}", bytes.len());
    }
}

#[test]
fn without_scripts_it_is_a_whole_table() {
    let lab = lab();
    let script = "
const page = await open({scripts: false});
return page.evaluate(() => {
    const list = (within, selector) => [...within.querySelectorAll(selector)];
    return {
        rows: list(document, 'tr').map(row => list(row, 'th, td').map(cell => cell.textContent)),
        controls: list(document, 'button, input, select, dialog').filter(one => one.offsetHeight).length,
        display: getComputedStyle(document.querySelector('tbody tr')).display,
        findings: document.querySelector('section').innerText,
    };
});";
    let Some(found) = browse(&lab, script) else { return };
    assert_eq!((&found["controls"], &found["display"]), (&json!(0), &json!("table-row")));
    let macs = lab.run(&["list", "--format", "json"]).exits(0).json();
    let row = |number: usize, cells: [&str; 7], slot: &str| {
        let mac = macs[number - 1]["macs"][0].as_str().expect("text").to_owned();
        let uuid = format!("{}{number:02}", &UUID[..UUID.len() - 2]);
        json!([&cells.map(str::to_owned)[..], &[mac, uuid, slot.to_owned()]].concat())
    };
    let what = "ip: 192.168.8.1 is not in 192.168.7.0/24, the subnet of lab.toml, [network]";
    let finding = format!("boards.csv:5:15: {what}");
    let columns =
        ["hostname", "profile", "location", "tags", "ip", "note", "findings", "mac0", "uuid", "var.slot"];
    let rows = json!([
        columns,
        row(1, ["panda-1", "panda", "R10", "poe spare", "192.168.7.9", "", ""], "seven"),
        row(2, ["panda-10", "panda", "R2", "poe", "192.168.7.10", "Out on loan", ""], ""),
        row(3, ["panda-2", "panda", "", "", "", "", ""], ""),
        row(4, ["tiger-1", "tiger", "R2", "camera", "192.168.8.1", "", &finding], ""),
    ]);
    assert_eq!(found["rows"], rows);
    assert_eq!(found["findings"], format!("1 finding\nboards.csv:5:15 {what}"));
}

#[test]
fn what_check_finds_is_at_the_board_and_in_a_summary_that_leads_to_it() {
    let lab = lab();
    let list = lab
        .read("boards.csv")
        .replace("panda-10,panda", "panda-10,lion")
        .replace("panda-2,panda,", "panda-2,panda,192.168.7.9");
    lab.write("boards.csv", list);
    lab.run(&["check"]).exits(5);
    let script = "
const page = await open(), found = {};
found.summary = await page.$eval('section', section => section.innerText.split('\\n'));
found.count = await page.$eval('header p', text => text.innerText);
found.boards = await page.$$eval('tr.found', rows => rows.map(row => row.cells[0].textContent));
await page.type('input', 'panda-10');
found.before = await shown(page);
await page.click('section li:last-child a');
found.after = await shown(page);
found.target = await page.evaluate(() => [document.querySelector(':target').cells[0].textContent, document.querySelector('input').value]);
return found;";
    let Some(found) = browse(&lab, script) else { return };
    assert_eq!(found["before"], json!(["panda-10"]));
    assert_eq!(found["boards"], json!(["panda-10", "panda-2", "tiger-1"]));
    assert_eq!(found["target"], json!(["tiger-1", ""]));
    assert_eq!(found["after"].as_array().map(Vec::len), Some(4));
    assert_eq!(found["count"], "4 boards, 3 findings");
    let summary = found["summary"].to_string();
    for part in
        ["boards.csv:3:10 profile: there is no profiles/lion.toml", "boards.csv:4:", "boards.csv:5:15 ip: "]
    {
        assert!(summary.contains(part), "{part}: {summary}");
    }
}

#[test]
fn the_same_lab_gives_the_same_page_wherever_it_lies_and_a_page_that_is_old_is_told() {
    let lab = lab();
    let page =
        lab.run(&["export", "html"]).exits(0).says(&["1 finding on the page", "identity-lab check"]).stdout;
    let head = "<!doctype html>\n<!-- Boards of the lab desk. Made by identity-lab: change the lab, not this file. -->\n";
    assert!(page.starts_with(head) && page.ends_with("</html>\n"), "{page}");
    let dir = lab.path("").display().to_string();
    let elsewhere = lab.command().current_dir("/").args(["--lab", &dir, "export", "html"]).output();
    assert!(page.as_bytes() == elsewhere.expect("it starts").stdout);
    let below = lab.command().current_dir(lab.path("profiles")).args(["export", "html"]).output();
    assert!(page.as_bytes() == below.expect("it starts").stdout);

    lab.run(&["export", "html", "--check", "boards.html"]).exits(5).says(&["boards.html is not up to date"]);
    lab.run(&["export", "html", "--output", "boards.html"]).exits(0);
    assert!(lab.read("boards.html") == page);
    lab.run(&["export", "html", "--check", "boards.html"]).exits(0);
    lab.write("profiles/panda.toml", lab.read("profiles/panda.toml") + "# a comment\n");
    lab.run(&["export", "html", "--check", "boards.html"]).exits(0);
    lab.write("boards.csv", lab.read("boards.csv").replace("on loan", "here"));
    lab.run(&["export", "html", "--check", "boards.html"]).exits(5);
}
