//! What is wrong with a configuration, said so that it can be mended: the line, and where a key that is not known belongs.

/// Adds to the parser's own words the place, and for an unknown key where it belongs or the nearest known one.
pub(super) fn explained(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text[..start].matches('\n').count() + 1;
    let message = error.message();
    let advice = if message.starts_with("unknown field") { advice(message, &text[..start]) } else { None };
    let message = if advice.is_some() { message.split(", expected").next().unwrap_or(message) } else { message };
    format!("line {line}: {}.{}", message.trim_end_matches('.'), advice.unwrap_or_default())
}

/// Says what to do about an unknown key. `before` is the text up to it.
fn advice(message: &str, before: &str) -> Option<String> {
    let mut words = message.split('`').skip(1).step_by(2);
    let unknown = words.next()?;
    if is_of_the_whole(unknown)
        && let Some(section) = before.lines().map(str::trim).rfind(|line| line.starts_with('['))
    {
        return Some(format!(
            " It belongs above the first [section]: where it stands, it is taken for a key of {section}."
        ));
    }
    words.min_by_key(|known| distance(unknown, known)).map(|known| format!(" Did you mean `{known}`?"))
}

/// Tells whether this is a key of the configuration itself, of no section.
fn is_of_the_whole(key: &str) -> bool {
    let whole = toml::Table::try_from(super::Config::default()).unwrap_or_default();
    key != "project" && whole.get(key).is_some_and(|value| !value.is_table())
}

/// Levenshtein distance, for words as short as keys.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let cost = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn wrong(text: &str) -> String {
        Config::parse(text).unwrap_err()
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_nearest_known_one() {
        let said = wrong("data = \"/x\"\nbase_ulr = \"https://example.org\"\n");
        assert_eq!(said, "line 2: unknown field `base_ulr`. Did you mean `base_url`?");
    }

    #[test]
    fn a_key_below_a_section_that_belongs_above_all_is_told_so() {
        let said = wrong("data = '/x'\n\n[keys]\nfolder = '/y'\n\ntrusted_proxies = ['127.0.0.1']\n");
        assert_eq!(
            said,
            "line 6: unknown field `trusted_proxies`. It belongs above the first [section]: where it stands, \
             it is taken for a key of [keys]."
        );
        let said = wrong("[keys]\nfoldr = '/y'\n");
        assert_eq!(said, "line 2: unknown field `foldr`. Did you mean `folder`?");
    }
}
