// SPDX-License-Identifier: MIT OR Apache-2.0
//! Labels as a picture: one label, or one sheet.

use std::fmt::Write;

use super::{Label, Sheet, Size};
use crate::markup::escaped;

/// One label, or those of one page of a sheet.
pub fn svg(labels: &[Label], sheet: Option<&Sheet>) -> String {
    let page = sheet.map(|sheet| sheet.page).or(labels.first().map(|label| label.size));
    let Size { width, height } = page.unwrap_or(Size { width: 0, height: 0 });
    let millimetres = |tenths: u32| f64::from(tenths) / 10.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}mm\" height=\"{}mm\" viewBox=\"0 0 {width} {height}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        millimetres(width),
        millimetres(height)
    );
    for (number, label) in (0..).zip(labels) {
        let (x, y) = sheet.map_or((0, 0), |sheet| sheet.place(number));
        // Tenths of a millimetre outside, dots inside.
        let scale = f64::from(label.size.width) / f64::from(label.dots.0.max(1));
        put(&mut text, format_args!("<g transform=\"translate({x} {y}) scale({scale:.6})\">"));
        text += "<path shape-rendering=\"crispEdges\" d=\"";
        for (x, y, width) in label.runs() {
            let _ = write!(text, "M{x} {y}h{width}v{}h-{width}z", label.module);
        }
        text += "\"/>\n";
        for line in &label.lines {
            // A baseline lies a fifth of the height above the bottom; letters keep to their width in any font.
            put(
                &mut text,
                format_args!(
                    "<text x=\"{}\" y=\"{}\" font-family=\"monospace\" font-size=\"{}\" textLength=\"{}\" \
                     lengthAdjust=\"spacingAndGlyphs\">{}</text>",
                    line.x,
                    line.y + line.height() * 4 / 5,
                    line.height(),
                    line.width(),
                    escaped(&line.text)
                ),
            );
        }
        text += "</g>\n";
    }
    text + "</svg>\n"
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    let _ = writeln!(text, "{line}");
}
