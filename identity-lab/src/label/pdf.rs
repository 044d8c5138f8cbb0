// SPDX-License-Identifier: MIT OR Apache-2.0
//! Labels as PDF: a page each, or pages of a sheet. The font is one that every reader has.

use pdf_writer::{Content, Name, Pdf, Rect, Ref, Str};

use super::{Label, Sheet, Size};

const FONT: Name<'static> = Name(b"F1");
/// Width of a character of Courier for a size of 1.
const COURIER: f32 = 0.6;

/// Points of a length in tenths of a millimetre.
fn points(tenths: f32) -> f32 {
    tenths * 72.0 / 254.0
}

#[expect(clippy::cast_precision_loss, reason = "lengths on paper are far below 2^24")]
fn float(number: u32) -> f32 {
    number as f32
}

/// All labels, in their order.
pub fn pdf(labels: &[Label], sheet: Option<&Sheet>) -> Vec<u8> {
    let per_page = sheet.map_or(1, Sheet::room);
    let pages: Vec<&[Label]> = labels.chunks(per_page as usize).collect();
    let mut pdf = Pdf::new();
    let (catalog, tree, font) = (Ref::new(1), Ref::new(2), Ref::new(3));
    let page_id =
        |number: usize| i32::try_from(number).map_or(Ref::new(4), |number| Ref::new(4 + 2 * number));
    let content_id = |number: usize| Ref::new(page_id(number).get() + 1);
    pdf.catalog(catalog).pages(tree);
    let count = i32::try_from(pages.len()).unwrap_or(i32::MAX);
    pdf.pages(tree).kids((0..pages.len()).map(page_id)).count(count);
    pdf.type1_font(font).base_font(Name(b"Courier-Bold"));
    for (number, labels) in pages.into_iter().enumerate() {
        let page = sheet.map(|sheet| sheet.page).or(labels.first().map(|label| label.size));
        let Size { width, height } = page.unwrap_or(Size { width: 0, height: 0 });
        let (width, height) = (points(float(width)), points(float(height)));
        let mut page = pdf.page(page_id(number));
        page.media_box(Rect::new(0.0, 0.0, width, height)).parent(tree).contents(content_id(number));
        page.resources().fonts().pair(FONT, font);
        drop(page);
        let mut content = Content::new();
        for (number, label) in (0..).zip(labels) {
            let place = sheet.map_or((0, 0), |sheet| sheet.place(number));
            put(&mut content, label, (points(float(place.0)), height - points(float(place.1))));
        }
        pdf.stream(content_id(number), &content.finish());
    }
    pdf.finish()
}

/// Draws a label whose upper left corner is at `left` and `top` in points, from the page's lower left corner.
fn put(content: &mut Content, label: &Label, (left, top): (f32, f32)) {
    let dot = points(float(label.size.width)) / float(label.dots.0.max(1));
    let x = |dots: u32| left + float(dots) * dot;
    let y = |dots: u32| top - float(dots) * dot;
    for (from, row, width) in label.runs() {
        content.rect(x(from), y(row + label.module), float(width) * dot, float(label.module) * dot);
    }
    content.fill_nonzero();
    for line in &label.lines {
        // As wide as it was laid out: the size follows from the width of a character.
        let size = float(6 * line.unit) * dot / COURIER;
        content.begin_text();
        content.set_font(FONT, size);
        content.next_line(x(line.x), y(line.y + line.height() * 4 / 5));
        content.show(Str(line.text.as_bytes()));
        content.end_text();
    }
}
