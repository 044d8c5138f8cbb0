// SPDX-License-Identifier: MIT OR Apache-2.0
//! A sector in hexadecimal digits, as `hexdump -C` prints it.

/// The sector; equal lines are left out but for the first.
pub fn sector(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut before: Option<&[u8]> = None;
    let mut is_repeated = false;
    for (number, line) in bytes.chunks(16).enumerate() {
        if before == Some(line) {
            if !is_repeated {
                text.push_str("*\n");
            }
            is_repeated = true;
            continue;
        }
        (before, is_repeated) = (Some(line), false);
        let digits: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let (left, right) = digits.split_at(digits.len().min(8));
        let chars: String = line
            .iter()
            .map(|&byte| if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' })
            .collect();
        text.push_str(&format!(
            "{:08x}  {:23}  {:23}  |{chars}|\n",
            number * 16,
            left.join(" "),
            right.join(" ")
        ));
    }
    text
}
