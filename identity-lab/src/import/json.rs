// SPDX-License-Identifier: MIT OR Apache-2.0
//! JSON whose values know where they stand: `serde_json` reads it, and lends parts of the text, which tell their place.

use std::borrow::Cow;
use std::fmt;

use identity_ui::Result;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Fault, Input};

/// How Ansible marks a text that is no template.
const UNSAFE: &str = "__ansible_unsafe";

/// A value, and the byte of the text where it begins.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    raw: &'a str,
    /// The byte of the text where it begins.
    pub at: usize,
}

/// A key of an object, and the byte of the text where it begins.
#[derive(Clone, Debug)]
pub struct Key<'a> {
    /// The key itself.
    pub text: Cow<'a, str>,
    /// The byte of the text where it begins; of one with escapes, where its value begins.
    pub at: usize,
}

#[derive(Deserialize, Serialize)]
#[serde(transparent)]
struct RawKey<'a>(#[serde(borrow)] Cow<'a, str>);

/// Keys and values in the order of the text, a key that is there twice as well.
struct Pairs<'a>(Vec<(RawKey<'a>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(All)
    }
}

impl<'a> Node<'a> {
    /// The values of a text, one after another.
    ///
    /// # Errors
    /// Exit 4 with the place where it is no JSON.
    pub fn all(input: &Input<'a>) -> Result<Vec<Self>> {
        let values = serde_json::Deserializer::from_str(input.text).into_iter::<&RawValue>();
        let whole = Self { raw: input.text, at: 0 };
        values
            .map(|value| {
                value.map(|value| whole.part(value.get())).map_err(|error| {
                    let before = input.text.split_inclusive('\n').take(error.line().saturating_sub(1));
                    let at = before.map(str::len).sum::<usize>() + error.column().saturating_sub(1);
                    let text = error.to_string();
                    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
                    input.place(floor(input.text, at)).unreadable(format!("this is no JSON: {what}"))
                })
            })
            .collect()
    }

    /// A part of this value's own text.
    fn part(&self, raw: &'a str) -> Self {
        Self { raw, at: self.at + raw.as_ptr().addr() - self.raw.as_ptr().addr() }
    }

    /// Its keys and values, if it is an object.
    pub fn object(&self) -> Option<Vec<(Key<'a>, Self)>> {
        let Pairs(pairs) = serde_json::from_str(self.raw).ok()?;
        let pair = |(RawKey(text), value): (RawKey<'a>, &'a RawValue)| {
            let value = self.part(value.get());
            let at = match &text {
                // The quote stands before it.
                Cow::Borrowed(text) => self.part(text).at.saturating_sub(1),
                Cow::Owned(_) => value.at,
            };
            (Key { text, at }, value)
        };
        Some(pairs.into_iter().map(pair).collect())
    }

    /// Its elements, if it is a list.
    pub fn list(&self) -> Option<Vec<Self>> {
        let list: Vec<&'a RawValue> = serde_json::from_str(self.raw).ok()?;
        Some(list.into_iter().map(|value| self.part(value.get())).collect())
    }

    /// What it is as text: a string, a number, or a string that Ansible marks; nothing for `null`.
    ///
    /// # Errors
    /// A fault with its place if it is something else.
    pub fn text(&self, input: &Input<'_>, called: &str) -> Result<Option<String>, Fault> {
        match serde_json::from_str(self.raw).ok() {
            Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(Value::Object(mut map))
                if map.len() == 1 && map.get(UNSAFE).is_some_and(Value::is_string) =>
            {
                Ok(map.remove(UNSAFE).and_then(|text| text.as_str().map(str::to_owned)))
            }
            _ => Err(Fault::unreadable(
                input.place(self.at),
                format!("{}: this is no text", crate::boards::short(called)),
            )),
        }
    }
}

/// The string that a text begins with, as a key or a value.
pub fn string_at(text: &str) -> Option<String> {
    serde_json::Deserializer::from_str(text).into_iter::<String>().next()?.ok()
}

/// A byte where a character begins, at most this one.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn input(text: &str) -> Input<'_> {
        Input::new(Path::new("x"), text)
    }

    #[test]
    fn keys_and_values_know_where_they_stand() {
        let text = "\n{\"a\": {\"b\":  [1, \"\\u0041\"]}, \"\\u0061\": null}\n{}";
        let input = input(text);
        let all = Node::all(&input).unwrap();
        assert_eq!(all.iter().map(|node| node.at).collect::<Vec<_>>(), [1, text.len() - 2]);
        let pairs = all[0].object().unwrap();
        assert_eq!(pairs.iter().map(|(key, _)| &*key.text).collect::<Vec<_>>(), ["a", "a"]);
        assert_eq!(text[pairs[0].0.at..].chars().next(), Some('"'));
        assert!(text[pairs[1].0.at..].starts_with("null"));
        let (key, list) = &pairs[0].1.object().unwrap()[0];
        assert!(text[key.at..].starts_with("\"b\""));
        let list = list.list().unwrap();
        let texts: Vec<_> = list.iter().map(|node| node.text(&input, "b").unwrap().unwrap()).collect();
        assert_eq!(texts, ["1", "A"]);
        assert!(text[list[1].at..].starts_with("\"\\u0041\"]"));
    }

    #[test]
    fn what_is_no_json_has_its_place() {
        for (text, place) in [("{\"a\":1,}", "x:1:8: "), ("{}\n[1 2]", "x:2:4: "), ("{\"a\":", "x:1:5: ")] {
            let failure = Node::all(&input(text)).expect_err(text).to_string();
            assert!(failure.starts_with(place), "{failure}");
        }
        let text = "[[1], \"\\ud800\", true]";
        let all = Node::all(&input(text)).unwrap();
        for node in all[0].list().unwrap() {
            node.text(&input(text), "n").expect_err("no text");
        }
    }

    /// A list in a list, and so on, costs neither stack nor much time.
    #[test]
    fn deep_values_are_no_text() {
        let text = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let all = Node::all(&input(&text)).unwrap();
        all[0].text(&input(&text), "n").expect_err("too deep");
    }
}
