// SPDX-License-Identifier: MIT OR Apache-2.0
//! Labels for printers that speak ZPL: the QR code as a picture of our own dots, so that any firmware prints the same.

use super::Label;

/// One format per label, for a printer whose resolution the labels were laid out for.
pub fn zpl(labels: &[Label]) -> String {
    labels.iter().map(one).collect()
}

fn one(label: &Label) -> String {
    let (width, height) = label.dots;
    let mut text = format!("^XA^PW{width}^LL{height}^LH0,0\n");
    let (x, y) = label.corner;
    text += &format!("^FO{x},{y}{}^FS\n", picture(label));
    for line in &label.lines {
        let unit = line.unit;
        text += &format!(
            "^FO{},{}^AAN,{},{}^FH^FD{}^FS\n",
            line.x,
            line.y,
            9 * unit,
            5 * unit,
            escaped(&line.text)
        );
    }
    text + "^XZ\n"
}

/// The QR code as a bitmap in hexadecimal digits, rows of whole bytes (`^GFA`).
fn picture(label: &Label) -> String {
    let module = label.module as usize;
    let row = |modules: &Vec<bool>| -> String {
        let dots: Vec<bool> = modules.iter().flat_map(|dark| std::iter::repeat_n(*dark, module)).collect();
        let byte =
            |dots: &[bool]| (0..8).fold(0_u8, |byte, at| byte << 1 | u8::from(dots.get(at) == Some(&true)));
        dots.chunks(8).map(|dots| format!("{:02X}", byte(dots))).collect()
    };
    let rows: String = label.modules.iter().map(|modules| row(modules).repeat(module)).collect();
    let (total, width) = (rows.len() / 2, (label.modules.len() * module).div_ceil(8));
    format!("^GFA,{total},{total},{width},{rows}")
}

/// What begins a command, and what begins an escape, in hexadecimal digits (`^FH`).
fn escaped(text: &str) -> String {
    text.chars()
        .map(|char| match char {
            '^' | '~' | '_' => format!("_{:02X}", u32::from(char)),
            char => char.to_string(),
        })
        .collect()
}
