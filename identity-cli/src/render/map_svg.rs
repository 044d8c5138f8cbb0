// SPDX-License-Identifier: MIT OR Apache-2.0
//! A map as an SVG picture for a document: the first 64 sectors, the whole gap, a legend, and the slots.

use identity_ui::lines::escaped;

use super::model::map::{Chart, Slot, Span, Use, range, size};

const WIDTH: u64 = 960;
const MARGIN: u64 = 32;
const BAR_WIDTH: u64 = WIDTH - 2 * MARGIN;
const BAR_HEIGHT: u64 = 44;
/// Sectors of the upper bar: where tables, boot ROMs and the first slots are.
const CLOSE_UP: u64 = 64;
const ROW_HEIGHT: u64 = 21;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#1f2328}.h{font-size:17px;font-weight:600}\
.s{font-size:11px;fill:#59636e}.m{font-family:ui-monospace,monospace;font-size:12px}";

/// The map as one SVG document.
pub fn map(chart: &Chart) -> String {
    let mut body = String::new();
    body.push_str(&text(MARGIN, 36, "h", &chart.target));
    body.push_str(&text(MARGIN, 56, "s", &subtitle(chart)));
    let mut y = 90;
    let close_up = CLOSE_UP.min(chart.end_lba);
    y = bar(&mut body, chart, y, close_up, "the first 64 sectors");
    if chart.end_lba > CLOSE_UP {
        y = bar(&mut body, chart, y, chart.end_lba, "everything before the first partition");
    }
    y = legend(&mut body, chart, y);
    y = rows(&mut body, chart, y + 12);
    let height = y + 12;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" aria-label=\"{}\">\n<style>{STYLE}</style>\n\
         <defs><pattern id=\"claimed\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" \
         patternTransform=\"rotate(45)\"><rect width=\"7\" height=\"7\" fill=\"#f3eefc\"/>\
         <rect width=\"2\" height=\"7\" fill=\"#cdb8f0\"/></pattern></defs>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" rx=\"8\" fill=\"#ffffff\"/>\n{body}</svg>\n",
        escape(&format!("Map of {}", chart.target))
    )
}

fn subtitle(chart: &Chart) -> String {
    let first = match chart.first_partition_lba {
        Some(lba) => format!("first partition at LBA {lba} ({})", size(lba)),
        None => "no partition".to_owned(),
    };
    format!("{} · {} · {first} · identity: {}", size(chart.sectors), chart.scheme.to_uppercase(), chart.state)
}

fn color(used: Use) -> &'static str {
    match used {
        Use::Free => "#eef1f4",
        Use::Claimed => "url(#claimed)",
        Use::Table => "#3b82c4",
        Use::Loader => "#8250c4",
        Use::Unknown => "#d9a425",
        Use::Copy => "#2da44e",
        Use::Mark => "#cf222e",
    }
}

/// One bar for the sectors before `end`; returns where the next thing goes.
fn bar(body: &mut String, chart: &Chart, y: u64, end: u64, title: &str) -> u64 {
    let x = |lba: u64| MARGIN * 10 + lba.min(end) * BAR_WIDTH * 10 / end.max(1);
    body.push_str(&text(MARGIN, y, "s", title));
    let top = y + 26;
    let shown = || chart.spans.iter().filter(|span| span.start_lba < end);
    let is_ground = |span: &&Span| matches!(span.r#use, Use::Free | Use::Claimed);
    // What has an owner is drawn over what has none: a single sector of thousands is still seen.
    for span in shown().filter(is_ground).chain(shown().filter(|span| !is_ground(span))) {
        let (from, to) = (x(span.start_lba), x(span.end_lba()));
        let width = (to - from).max(if is_ground(&span) { 0 } else { 30 });
        let name = if span.owner.is_empty() { span.r#use.words() } else { &span.owner };
        body.push_str(&format!(
            "<rect x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{BAR_HEIGHT}\" fill=\"{}\"><title>{}</title></rect>\n",
            tenths(from),
            tenths(width),
            color(span.r#use),
            escape(format!("{}: {name} {}", range(span.start_lba, span.sectors), span.detail).trim())
        ));
    }
    let mut last = 0;
    for slot in chart.slots.iter().filter(|slot| u64::from(slot.lba) < end) {
        let at = x(slot.lba.into()) + BAR_WIDTH * 5 / end.max(1);
        // Two slots of one group are close together; one letter tells of both.
        if at < last + 120 {
            continue;
        }
        last = at;
        body.push_str(&pin(slot, at, top));
    }
    body.push_str(&ruler(top + BAR_HEIGHT, end));
    top + BAR_HEIGHT + 40
}

/// A slot's letter above the bar, green where a copy is, grey where none may be.
fn pin(slot: &Slot, at: u64, top: u64) -> String {
    let fill = match slot.state {
        "copy" => "#2da44e",
        "free" => "#59636e",
        _ => "#c8ced4",
    };
    let (x, base) = (tenths(at), top - 2);
    format!(
        "<g><title>{}</title><path d=\"M{x} {base}l-4 -6h8z\" fill=\"{fill}\"/>\
         <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" style=\"font-size:11px;fill:{fill}\">{}</text></g>\n",
        escape(&format!("slot at LBA {}: {}", slot.lba, slot.state)),
        base - 8,
        slot.group
    )
}

fn ruler(y: u64, end: u64) -> String {
    const TICKS: u64 = 8;
    let mut ruler = String::new();
    for tick in 0..=TICKS {
        let (lba, x) = (end * tick / TICKS, MARGIN * 10 + BAR_WIDTH * 10 * tick / TICKS);
        let anchor = match tick {
            0 => "start",
            TICKS => "end",
            _ => "middle",
        };
        ruler.push_str(&format!(
            "<path d=\"M{0} {y}v4\" stroke=\"#afb8c1\"/><text x=\"{0}\" y=\"{1}\" class=\"s\" \
             text-anchor=\"{anchor}\">{2}</text>\n",
            tenths(x),
            y + 16,
            if end <= CLOSE_UP { lba.to_string() } else { size(lba) }
        ));
    }
    ruler
}

fn legend(body: &mut String, chart: &Chart, y: u64) -> u64 {
    let mut x = MARGIN;
    let used = |used: &Use| chart.spans.iter().any(|span| span.r#use == *used);
    for used in Use::ALL.into_iter().filter(used) {
        body.push_str(&format!(
            "<rect x=\"{x}\" y=\"{}\" width=\"13\" height=\"13\" rx=\"2\" fill=\"{}\"/>",
            y - 11,
            color(used)
        ));
        body.push_str(&text(x + 19, y, "", used.words()));
        x += 46 + used.words().chars().count() as u64 * 7;
    }
    body.push_str(&text(x, y, "s", "▾ slots for copies, by group"));
    y + 16
}

/// What lies where, in words: everything but free space, then the partitions.
fn rows(body: &mut String, chart: &Chart, y: u64) -> u64 {
    let mut at = y;
    let mut row = |lba: String, length: String, what: String| {
        at += ROW_HEIGHT;
        body.push_str(&text(MARGIN, at, "m", &lba));
        body.push_str(&text(MARGIN + 190, at, "m", &length));
        body.push_str(&text(MARGIN + 290, at, "", &what));
    };
    for span in chart.spans.iter().filter(|span| span.r#use != Use::Free) {
        let detail = if span.detail.is_empty() { String::new() } else { format!(": {}", span.detail) };
        let blank = if span.r#use == Use::Claimed { " (reserved, blank)" } else { "" };
        let what = format!("{}{blank}{detail}", span.owner);
        row(range(span.start_lba, span.sectors), size(span.sectors), what);
    }
    for partition in &chart.partitions {
        let name = partition.name.as_ref().map_or(String::new(), |name| format!(" \"{name}\""));
        row(
            range(partition.start_lba, partition.sectors),
            size(partition.sectors),
            format!("partition {}{name}: {}", partition.number, partition.kind),
        );
    }
    at
}

fn text(x: u64, y: u64, class: &str, text: &str) -> String {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    format!("<text x=\"{x}\" y=\"{y}\"{class}>{}</text>\n", escape(text))
}

/// Tenths of a pixel as SVG writes them.
fn tenths(value: u64) -> String {
    format!("{}.{}", value / 10, value % 10)
}

fn escape(text: &str) -> String {
    escaped(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
