// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names in ranges, as hostlists have them: `panda-[01-20,25]`, `r[1-3]n[1-4],spare`.

/// Most names that one command makes.
const NAMES_MAX: usize = 1_000_000;

/// The names that a hostlist stands for, in its order. A range keeps the width of its first number: `[08-11]` is 08, 09, 10,
/// 11.
///
/// # Errors
/// What is wrong with it, as a sentence.
pub fn expand(list: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for word in split_outside_brackets(list)? {
        if word.is_empty() {
            return Err(format!("`{list}` has an empty name"));
        }
        expand_word(word, &mut names)?;
    }
    Ok(names)
}

fn split_outside_brackets(list: &str) -> Result<Vec<&str>, String> {
    let (mut words, mut start, mut is_inside) = (Vec::new(), 0, false);
    for (at, char) in list.char_indices() {
        match char {
            '[' if is_inside => return Err(format!("`{list}`: a `[` inside of brackets")),
            ']' if !is_inside => return Err(format!("`{list}`: a `]` without `[`")),
            '[' | ']' => is_inside = char == '[',
            ',' if !is_inside => {
                words.push(&list[start..at]);
                start = at + 1;
            }
            _ => (),
        }
    }
    if is_inside {
        return Err(format!("`{list}`: a `[` without `]`"));
    }
    words.push(&list[start..]);
    Ok(words)
}

fn expand_word(word: &str, names: &mut Vec<String>) -> Result<(), String> {
    let mut made = vec![String::new()];
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('[') {
        let (ranges, behind) = after.split_once(']').unwrap_or((after, ""));
        let numbers = numbers(ranges).map_err(|why| format!("`{word}`: {why}"))?;
        if made.len().saturating_mul(numbers.len()) > NAMES_MAX {
            return Err(format!("`{word}` stands for more than {NAMES_MAX} names"));
        }
        let longer =
            |start: &String| numbers.iter().map(move |number| format!("{start}{before}{number}")).collect();
        made = made.iter().flat_map(|start| -> Vec<String> { longer(start) }).collect();
        rest = behind;
    }
    if names.len() + made.len() > NAMES_MAX {
        return Err(format!("the list stands for more than {NAMES_MAX} names"));
    }
    names.extend(made.into_iter().map(|name| name + rest));
    Ok(())
}

fn numbers(ranges: &str) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for range in ranges.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| {
            let is_number = !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
            text.parse::<usize>().ok().filter(|_| is_number)
        };
        let (Some(from), Some(to)) = (number(first), number(last)) else {
            return Err(format!("`{range}` is no range of numbers, like 01-20"));
        };
        if to < from || to - from >= NAMES_MAX {
            return Err(format!("`{range}` is an empty range, or one of more than {NAMES_MAX}"));
        }
        all.extend((from..=to).map(|number| format!("{number:0width$}", width = first.len())));
    }
    Ok(all)
}

/// So many names are shown.
const SHOWN: usize = 8;

/// Names in a sentence: all of a few, else the first ones, and how many more there are.
pub fn some(names: &[&str]) -> String {
    match names.get(..SHOWN).filter(|_| names.len() > SHOWN + 1) {
        Some(first) => format!("{} and {} more", first.join(", "), names.len() - SHOWN),
        None => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn a_hostlist_stands_for_its_names() {
        for (list, names) in [
            ("a", "a"),
            ("panda-[01-03]", "panda-01 panda-02 panda-03"),
            ("n[8-11]", "n8 n9 n10 n11"),
            ("n[08-11,5]", "n08 n09 n10 n11 n5"),
            ("r[1-2]n[1-2]x,spare", "r1n1x r1n2x r2n1x r2n2x spare"),
        ] {
            assert_eq!(expand(list).unwrap().join(" "), names, "{list}");
        }
    }

    #[test]
    fn a_broken_hostlist_is_refused() {
        for list in [
            "",
            "a,",
            "a[",
            "a]",
            "a[1-2",
            "a[[1]]",
            "a[]",
            "a[1-]",
            "a[-2]",
            "a[3-1]",
            "a[x]",
            "a[1-9999999]",
        ] {
            assert!(expand(list).is_err(), "{list}");
        }
    }
}
