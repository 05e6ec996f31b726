//! Tests of [`super`]: what is typed after `embargo advisory edit`, and what becomes of a draft.

use super::*;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(subcommand)]
    command: AdvisoryCommand,
}

fn line(repository: &str, name: &str) -> AffectedLine {
    AffectedLine {
        repository: repository.parse().unwrap(),
        line: name.parse().unwrap(),
        package: None,
        introduced: None,
        last_affected: Some("1.0".parse().unwrap()),
        fixed: None,
        tag: None,
        fix_commit: None,
    }
}

#[test]
fn the_whole_draft_and_parts_of_it_exclude_each_other() {
    let parses = |line: &str| <Line as clap::Parser>::try_parse_from(line.split_whitespace()).is_ok();
    for line in [
        "x show DEMO-1",
        "x edit DEMO-1",
        "x edit DEMO-1 draft.json",
        "x edit DEMO-1 --file draft.toml",
        "x edit DEMO-1 --title Flaw --affected main=2.0,1.0 --severity high --cve CVE-2026-0001",
        "x export DEMO-1 --format osv",
        "x drop DEMO-1",
        "x retell DEMO-1 hook",
    ] {
        assert!(parses(line), "{line}");
    }
    for line in [
        "x edit DEMO-1 a.json --file b.json",
        "x edit DEMO-1 a.json --title Flaw",
        "x edit DEMO-1 --file a --severity low",
    ] {
        assert!(!parses(line), "{line}");
    }
}

#[test]
fn a_range_replaces_its_line_and_no_other() {
    let before = [line("core", "main"), line("core", "1.x")];
    let after = affected(&before, &[ranged("1.x=1.4.2,1.2.0").unwrap()]).unwrap();
    assert_eq!(after[0], before[0]);
    assert_eq!(after[1].fixed.as_ref().unwrap().as_str(), "1.4.2");
    assert_eq!(after[1].introduced.as_ref().unwrap().as_str(), "1.2.0");
    assert_eq!(after[1].last_affected, None);
}

#[test]
fn where_a_flaw_begins_is_kept_unless_it_is_said() {
    let mut before = [line("core", "main")];
    before[0].introduced = Some("1.2.0".parse().unwrap());
    let begins = |range: &str| affected(&before, &[ranged(range).unwrap()]).unwrap()[0].introduced.clone();
    assert_eq!(begins("main=2.0.1"), before[0].introduced);
    assert_eq!(begins("main=2.0.1,1.3.0"), Some("1.3.0".parse().unwrap()));
    assert_eq!(begins("main=2.0.1,"), None);
}

#[test]
fn an_ambiguous_or_unknown_line_is_not_guessed() {
    let before = [line("core", "main"), line("docs", "main")];
    assert!(affected(&before, &[ranged("main=2.0").unwrap()]).is_err());
    assert!(affected(&before, &[ranged("2.x=2.0").unwrap()]).is_err());
    assert_eq!(affected(&before, &[ranged("docs:main=2.0").unwrap()]).unwrap()[0], before[0]);
    assert_eq!(affected(&before, &[ranged("core:2.x=2.0").unwrap()]).unwrap().len(), 3);
    assert!(ranged("main").is_err() && ranged("main=").is_err());
}

#[test]
fn a_severity_is_a_word_a_vector_or_a_reason() {
    assert!(matches!(severity("high"), Ok(Severity::Word(_))));
    assert!(matches!(severity("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"), Ok(Severity::Cvss(_))));
    assert!(matches!(severity("none: depends on the configuration"), Ok(Severity::None(_))));
    assert!(severity("bad").is_err() && severity("none:").is_err());
}

#[test]
fn a_draft_is_read_as_json_and_as_toml() {
    assert!(parsed(Path::new("draft.json"), r#"{"title":"Sample flaw"}"#).is_ok());
    assert!(
        parsed(Path::new("draft.toml"), "title = \"Sample flaw\"\nseverity = { kind = \"word\", value = \"low\" }\n")
            .is_ok()
    );
    assert!(parsed(Path::new("draft.json"), r#"{"titel":"x"}"#).is_err());
}
