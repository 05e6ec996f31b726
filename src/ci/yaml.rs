//! Reading YAML of strangers: bounded in size, depth and in what aliases may unfold to.
//!
//! Guards: a file of 1 MiB costs no more than a few times its size. Leaves the meaning to `workflow`.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use yaml_serde::{Mapping, Value};

/// Largest workflow file, in bytes.
const SIZE: usize = 1024 * 1024;
/// Most values of a file, with every alias unfolded.
const VALUES: usize = 50_000;
/// Most opening brackets of a file: the parser's time grows with the square of how deep they stand in each other.
const BRACKETS: usize = 10_000;
/// Most bytes of text in a file, with every alias unfolded.
const TEXT: usize = 4 * SIZE;

/// Reads one document. The sentence of the error says what to change.
pub(super) fn read(text: &str) -> Result<Value, String> {
    if text.len() > SIZE {
        return Err("The file is larger than 1 MiB.".to_owned());
    }
    if text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() > BRACKETS {
        return Err(format!("The file holds more than {BRACKETS} opening brackets."));
    }
    let budget = Budget { values: Cell::new(VALUES), text: Cell::new(TEXT) };
    let reader = Node(&budget);
    reader.deserialize(yaml_serde::Deserializer::from_str(text)).map_err(|error| {
        format!("The file is not YAML that can be read: {}.", crate::domain::text::shown(&error.to_string()))
    })
}

struct Budget {
    values: Cell<usize>,
    text: Cell<usize>,
}

impl Budget {
    fn spend<E: serde::de::Error>(&self, bytes: usize) -> Result<(), E> {
        let values =
            self.values.get().checked_sub(1).ok_or_else(|| E::custom("it holds more values than a workflow needs"))?;
        let text =
            self.text.get().checked_sub(bytes).ok_or_else(|| E::custom("it holds more text than a workflow needs"))?;
        self.values.set(values);
        self.text.set(text);
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Node<'a>(&'a Budget);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plain YAML without tags")
    }
    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        self.0.spend(0).map(|()| Value::Null)
    }
    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        self.0.spend(0).map(|()| value.into())
    }
    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.0.spend(0).map(|()| value.into())
    }
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.0.spend(0).map(|()| value.into())
    }
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        self.0.spend(0).map(|()| value.into())
    }
    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.0.spend(value.len()).map(|()| value.into())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.0.spend(0)?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Sequence(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.0.spend(0)?;
        let mut map = Mapping::new();
        while let Some(key) = entries.next_key_seed(self)? {
            if !matches!(key, Value::String(_) | Value::Bool(_) | Value::Number(_)) {
                return Err(A::Error::custom("a key is not a word"));
            }
            let value = entries.next_value_seed(self)?;
            if map.insert(key, value).is_some() {
                return Err(A::Error::custom("a key stands twice in the same place"));
            }
        }
        Ok(Value::Mapping(map))
    }
    fn visit_some<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn aliases_cannot_unfold_without_bound() {
        let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let below = format!("*a{}", level - 1);
            writeln!(laughs, "a{level}: &a{level} [{}]", vec![below; 9].join(", ")).unwrap();
        }
        assert!(read(&laughs).is_err());

        let long = "x".repeat(500_000);
        let wide = format!("a: &a {long}\nb: [{}]\n", vec!["*a"; 10_000].join(","));
        assert!(read(&wide).unwrap_err().contains("more text"));
    }

    #[test]
    fn deep_and_broken_files_are_refused_in_words() {
        for bad in [
            "[".repeat(1_000_000),
            "[".repeat(BRACKETS),
            "- ".repeat(400_000),
            "a: [".to_owned(),
            "a: b: c".to_owned(),
            "\u{0}".to_owned(),
            "{a: 1, a: 2}".to_owned(),
            "? [a]\n: b".to_owned(),
            "x".repeat(SIZE + 1),
            "a: 1\n---\nb: 2\n".to_owned(),
        ] {
            let sentence = read(&bad).unwrap_err();
            assert!(sentence.starts_with("The file ") && sentence.ends_with('.'), "{sentence}");
        }
    }

    #[test]
    fn anchors_and_plain_values_are_read() {
        let value = read("on: push\na: &x {b: 1}\nc: *x\n").unwrap();
        assert_eq!(value["c"]["b"], Value::from(1));
        assert_eq!(value["on"], Value::from("push"));
    }
}
