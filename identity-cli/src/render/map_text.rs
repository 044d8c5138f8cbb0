// SPDX-License-Identifier: MIT OR Apache-2.0
//! A map in the terminal: two strips and a table.

use anstyle::{AnsiColor, Style};
use identity_ui::lines::escaped;

use super::model::map::{Chart, Slot, Span, Use, range, size};

/// Cells of a strip.
const CELLS: u64 = 64;

/// The map as lines of text, coloured.
pub fn map(chart: &Chart) -> String {
    let len = if chart.sectors == 0 { "less than one sector".into() } else { size(chart.sectors) };
    let mut text = format!("{}: {len}, {}", chart.shown, scheme(chart));
    text.push_str(&match chart.first_partition_lba {
        Some(lba) => format!(", first partition at LBA {lba} ({})\n", size(lba)),
        None => "\n".to_owned(),
    });
    for problem in &chart.problems {
        let style = AnsiColor::Red.on_default();
        text.push_str(&format!("{style}problem: {problem}{style:#}\n"));
    }
    if chart.end_lba > 0 {
        text.push('\n');
        text.push_str(&strip(chart, CELLS.min(chart.end_lba)));
        if chart.end_lba > CELLS {
            text.push_str(&strip(chart, chart.end_lba));
        }
        text.push_str(&format!("\n  {}\n\n", legend(chart)));
        text.push_str(&table(chart));
    }
    text.push_str(&slots(chart));
    text
}

fn scheme(chart: &Chart) -> String {
    match (chart.scheme, chart.other_label) {
        ("mbr", _) => "MBR".into(),
        ("gpt", _) => "GPT".into(),
        ("hybrid", _) => "hybrid GPT and MBR".into(),
        (_, Some(label)) => format!("a partition table of type {label}"),
        _ => "no partition table".into(),
    }
}

fn cell(used: Use) -> (char, Style) {
    let color = |color: AnsiColor| color.on_default();
    match used {
        Use::Free => ('·', Style::new().dimmed()),
        Use::Claimed => ('░', Style::new().dimmed()),
        Use::Table => ('▒', color(AnsiColor::Blue)),
        Use::Loader => ('█', color(AnsiColor::Magenta)),
        Use::Unknown => ('▓', color(AnsiColor::Yellow)),
        Use::Copy => ('◆', color(AnsiColor::Green)),
        Use::Mark => ('!', color(AnsiColor::Red)),
    }
}

/// The sectors before `end` in one line.
fn strip(chart: &Chart, end: u64) -> String {
    let cells = CELLS.min(end);
    let mut line = String::from("  ");
    for number in 0..cells {
        let (from, to) = (number * end / cells, (number + 1) * end / cells);
        let (char, style) = cell(chart.most_telling(from, to));
        line.push_str(&format!("{style}{char}{style:#}"));
    }
    format!("{line}  LBA 0 to {} ({})\n", end.saturating_sub(1), size(end))
}

fn legend(chart: &Chart) -> String {
    let used = |used: &Use| chart.spans.iter().any(|span| span.r#use == *used);
    let words: Vec<_> = Use::ALL
        .into_iter()
        .filter(used)
        .map(|used| {
            let (char, style) = cell(used);
            format!("{style}{char}{style:#} {}", used.words())
        })
        .collect();
    words.join("   ")
}

fn table(chart: &Chart) -> String {
    let mut rows: Vec<[String; 3]> = chart.spans.iter().map(row).collect();
    for partition in &chart.partitions {
        let name = partition.name.as_ref().map_or(String::new(), |name| format!(" \"{}\"", escaped(name)));
        rows.push([
            range(partition.start_lba, partition.sectors),
            size(partition.sectors),
            format!("partition {}{name}: {}", partition.number, partition.kind),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    rows.iter().map(|[lba, length, owner]| format!("  {lba:<first$}  {length:>second$}  {owner}\n")).collect()
}

fn row(span: &Span) -> [String; 3] {
    let (_, style) = cell(span.r#use);
    let name = if span.owner.is_empty() { span.r#use.words() } else { &span.owner };
    let blank = if span.r#use == Use::Claimed { " (reserved, blank)" } else { "" };
    let detail = if span.detail.is_empty() { String::new() } else { format!(": {}", escaped(&span.detail)) };
    let owner = format!("{style}{name}{style:#}{blank}{detail}");
    [range(span.start_lba, span.sectors), size(span.sectors), owner]
}

fn slots(chart: &Chart) -> String {
    let of = |state: &str| -> Vec<&Slot> { chart.slots.iter().filter(|slot| slot.state == state).collect() };
    let names = |slots: &[&Slot]| {
        let names: Vec<_> = slots.iter().map(|slot| format!("{} ({})", slot.lba, slot.group)).collect();
        if names.is_empty() { "none".into() } else { names.join(", ") }
    };
    let mut text = format!("\nidentity: {}\n", identity_ui::lines::state(chart.state));
    text.push_str(&format!("slots with a copy: {}\n", names(&of("copy"))));
    if let Some(lba) = chart.elsewhere {
        text.push_str(&format!("outside of them:   {lba} (--at {lba})\n"));
    }
    if !chart.in_partition.is_empty() {
        let lbas: Vec<_> = chart.in_partition.iter().map(u32::to_string).collect();
        text.push_str(&format!("in a partition:    {}\n", lbas.join(", ")));
    }
    text.push_str(&format!("slots free:        {}\n", names(&of("free"))));
    let busy = of("busy");
    let reason = |slot: &&Slot| slot.reason.clone().unwrap_or_default();
    if busy.len() == chart.slots.len() && busy.iter().all(|slot| slot.reason == busy[0].reason) {
        text.push_str(&format!("every slot busy:   {}\n", reason(&busy[0])));
        return text;
    }
    for slot in busy {
        text.push_str(&format!("slot {} ({}) busy: {}\n", slot.lba, slot.group, reason(&slot)));
    }
    text
}
