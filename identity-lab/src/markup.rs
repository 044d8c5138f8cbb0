// SPDX-License-Identifier: MIT OR Apache-2.0
//! Texts in HTML and SVG.

/// A text as it stands between tags, or in the quotes of an attribute.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            char => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn what_means_something_in_markup_is_escaped_and_all_else_stays() {
        assert_eq!(
            escaped("<a href='x'>\"&amp;\"</a>"),
            "&lt;a href=&#39;x&#39;&gt;&quot;&amp;amp;&quot;&lt;/a&gt;"
        );
        let plain = "%s {{x}} `\\\n\u{2028}\u{202e}ä -- ]]";
        assert_eq!(escaped(plain), plain);
    }
}
