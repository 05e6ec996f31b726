//! What an advisory tells of each line, held against what people said of the line, the plan, and what is public.
//!
//! Guards: the public never reads of a version that nobody ships, of a fix that a mark denies, or of a line as affected that
//! is not; a line that nobody spoke of is not passed over in silence. Leaves what an advisory lacks besides to
//! [`super::advisory`].

use super::advisory::{Advisory, AffectedLine, Package};
use super::id::CaseId;
use super::mark::Standing;
use super::plain::Version;
use super::repo::{LineName, RepoName, TagName};

/// What the release that is looked at does with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ships {
    /// No release is looked at.
    NoRelease,
    /// The release leaves the line out.
    Not,
    /// The release moves it on, and gives it no tag.
    Untagged,
    /// The release ships it under this tag.
    As(TagName),
}

/// What is known of one line of the project for one case.
#[derive(Clone, Debug)]
pub struct LineFacts {
    /// The repository.
    pub repository: RepoName,
    /// The line.
    pub name: LineName,
    /// What was said of it; a pushed fix says that it is affected.
    pub standing: Option<Standing>,
    /// Whether a fix is pushed for it.
    pub fix: bool,
    /// What the release does with it.
    pub ships: Ships,
    /// What the draft tells of it, once for each package.
    pub told: Vec<AffectedLine>,
    /// Whether what the draft calls fixed has a public tag already.
    pub fixed_in_public: bool,
    /// Whether anybody spoke of its repository, by a mark or a fix.
    pub concerned: bool,
}

/// Why a line stands in the way of a release, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It is affected and does not ship.
    Left(String),
    /// Nobody said how it stands.
    Unknown(String),
    /// The advisory tells something else of it, or too little.
    Untold(String),
}

impl LineFacts {
    /// Lists what is amiss with the line.
    pub fn lacks(&self, case: &CaseId) -> Vec<Lack> {
        let line = &self.name;
        let mut lacks = Vec::new();
        match (self.standing, &self.ships) {
            (Some(Standing::Affected), Ships::Not) => lacks.push(Lack::Left(if self.fix {
                format!(
                    "{case} has a fix on {line}, which does not ship: plan a tag for it, or delete fix/{line} and mark the line."
                )
            } else {
                format!("{case} affects {line}, which does not ship: plan a tag for it, or mark that it will not be fixed.")
            })),
            (None, Ships::Not | Ships::Untagged | Ships::As(_)) if self.told.is_empty() && self.concerned => lacks.push(Lack::Unknown(
                format!(
                    "Nobody has said how {line} stands to {case}: push a fix to fix/{line}, or mark the line as affected, not affected or not to be fixed."
                ),
            )),
            (Some(Standing::WontFix), _) if self.told.is_empty() => lacks.push(Lack::Untold(format!(
                "{line} stays affected and gets no fix: name it with its last affected version."
            ))),
            _ => {}
        }
        for told in &self.told {
            lacks.extend(self.wrong(told).map(Lack::Untold));
        }
        lacks
    }

    /// Tells whether the text says that what the release shipped does not fix the line: another version does, or a later one is
    /// affected.
    pub fn ships_no_fix_after_all(&self) -> bool {
        let Ships::As(tag) = &self.ships else { return false };
        let other = |told: &AffectedLine| {
            told.last_affected.is_some() || told.fixed.as_ref().is_some_and(|fixed| !names(tag, fixed))
        };
        self.told.iter().any(other)
    }

    /// Says what is wrong or missing in what the draft tells of the line.
    fn wrong(&self, told: &AffectedLine) -> Option<String> {
        let line = &self.name;
        let ended = told.last_affected.is_some() || told.fix_commit.is_some();
        match (self.standing, &self.ships, &told.fixed) {
            // It is left out of what is published.
            (Some(Standing::NotAffected), ..) => None,
            (Some(Standing::WontFix), _, Some(fixed)) => Some(format!(
                "{line} is marked as not to be fixed, and the text says that {fixed} fixes it: correct one of them."
            )),
            (Some(Standing::WontFix), _, None) => {
                (!ended).then(|| format!("Say which was the last affected version of {line}."))
            }
            (_, Ships::As(tag), Some(fixed)) => (!names(tag, fixed)).then(|| {
                format!("The text says that {line} is fixed in {fixed}, and the release ships {tag}: correct one of them.")
            }),
            (_, Ships::As(_), None) => None,
            (_, Ships::Not | Ships::Untagged, Some(fixed)) => (!self.fixed_in_public).then(|| {
                format!(
                    "The text says that {line} is fixed in {fixed}, which this release does not ship and nobody has tagged in public: correct it."
                )
            }),
            (_, Ships::NoRelease, Some(_)) => None,
            (_, Ships::Not | Ships::Untagged | Ships::NoRelease, None) => (!ended).then(|| {
                format!(
                    "Say in which version {line} is fixed or which was its last affected one, or mark how the line stands."
                )
            }),
        }
    }
}

impl Advisory {
    /// Returns the advisory as it is published: without the lines that are not affected, with those that get a fix although
    /// nobody wrote of them, and with the versions that the release ships.
    #[must_use]
    pub fn against(mut self, lines: &[LineFacts], package: Option<&Package>) -> Self {
        let of = |told: &AffectedLine| {
            lines.iter().find(|line| line.repository == told.repository && line.name == told.line)
        };
        self.affected.retain(|told| of(told).is_none_or(|line| line.standing != Some(Standing::NotAffected)));
        for told in &mut self.affected {
            if let Some(LineFacts { ships: Ships::As(tag), .. }) = of(told) {
                told.fixed = told.fixed.take().or_else(|| version_of(tag));
                told.tag = Some(tag.clone());
            }
        }
        let untold = lines.iter().filter(|line| line.told.is_empty() && line.standing == Some(Standing::Affected));
        for line in untold {
            let Ships::As(tag) = &line.ships else { continue };
            self.affected.push(AffectedLine {
                repository: line.repository.clone(),
                line: line.name.clone(),
                package: package.cloned(),
                introduced: None,
                last_affected: None,
                fixed: version_of(tag),
                tag: Some(tag.clone()),
                fix_commit: None,
            });
        }
        self
    }
}

/// Reads the version out of a tag: from the first part that begins with a number, with or without a `v` before it.
pub fn version_of(tag: &TagName) -> Option<Version> {
    let text = tag.as_str();
    let begins = std::iter::once(0).chain(text.match_indices(['/', '-', '_']).map(|(at, _)| at + 1));
    let mut numbered = begins.map(|at| &text[at..]).map(|rest| rest.strip_prefix('v').unwrap_or(rest));
    let version = numbered.find(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    version.unwrap_or(text).parse().ok()
}

/// Tells whether a tag is one of this version.
pub fn names(tag: &TagName, version: &Version) -> bool {
    version_of(tag).as_ref() == Some(version) || tag.as_str() == version.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(fixed: Option<&str>) -> AffectedLine {
        AffectedLine {
            repository: "core".parse().unwrap(),
            line: "1.x".parse().unwrap(),
            package: None,
            introduced: None,
            last_affected: None,
            fixed: fixed.map(|fixed| fixed.parse().unwrap()),
            tag: None,
            fix_commit: None,
        }
    }

    fn line(standing: Option<Standing>, ships: Ships, told: Vec<AffectedLine>) -> LineFacts {
        LineFacts {
            repository: "core".parse().unwrap(),
            name: "1.x".parse().unwrap(),
            standing,
            fix: false,
            ships,
            told,
            fixed_in_public: false,
            concerned: true,
        }
    }

    fn shipped() -> Ships {
        Ships::As("v1.4.2".parse().unwrap())
    }

    fn lacks(line: &LineFacts) -> Vec<Lack> {
        line.lacks(&"DEMO-1".parse().unwrap())
    }

    #[test]
    fn a_version_stands_at_the_end_of_its_tag() {
        let read = |tag: &str| version_of(&tag.parse().unwrap()).map(|version| version.to_string());
        for (tag, version) in [
            ("v1.4.2", "1.4.2"),
            ("1.11.3", "1.11.3"),
            ("release-2.0", "2.0"),
            ("core/v3.1rc2", "3.1rc2"),
            ("py3-demo-1.0", "1.0"),
            ("nightly", "nightly"),
        ] {
            assert_eq!(read(tag).as_deref(), Some(version), "{tag}");
        }
    }

    #[test]
    fn nothing_is_told_that_the_release_does_not_do() {
        let fixed = || vec![told(Some("1.4.1"))];
        for (name, line) in [
            ("another version ships", line(Some(Standing::Affected), shipped(), fixed())),
            ("nothing ships and nothing is public", line(None, Ships::Not, fixed())),
            ("it is marked as not to be fixed", line(Some(Standing::WontFix), Ships::Not, fixed())),
            ("no end is told", line(None, Ships::Not, vec![told(None)])),
            ("a line that stays affected is not told", line(Some(Standing::WontFix), Ships::Not, Vec::new())),
        ] {
            assert!(matches!(lacks(&line)[..], [Lack::Untold(_)]), "{name}: {:?}", lacks(&line));
        }
        let mut public = line(None, Ships::Not, fixed());
        public.fixed_in_public = true;
        assert_eq!(lacks(&public), []);
        assert_eq!(lacks(&line(Some(Standing::NotAffected), Ships::Not, fixed())), [], "it is left out");
        assert_eq!(lacks(&line(Some(Standing::Affected), shipped(), vec![told(Some("1.4.2"))])), []);
        assert_eq!(lacks(&line(Some(Standing::Affected), shipped(), Vec::new())), [], "the plan says it");
    }

    #[test]
    fn a_line_is_not_passed_over_in_silence() {
        assert!(matches!(lacks(&line(None, Ships::Not, Vec::new()))[..], [Lack::Unknown(_)]));
        assert!(matches!(lacks(&line(None, shipped(), Vec::new()))[..], [Lack::Unknown(_)]));
        assert!(matches!(lacks(&line(Some(Standing::Affected), Ships::Not, Vec::new()))[..], [Lack::Left(_)]));
        let mut elsewhere = line(None, Ships::Not, Vec::new());
        elsewhere.concerned = false;
        assert_eq!(lacks(&elsewhere), [], "a repository nobody spoke of");
        assert_eq!(lacks(&line(None, Ships::NoRelease, Vec::new())), []);
    }

    #[test]
    fn what_is_published_follows_marks_and_plan() {
        let mut draft = Advisory::draft("Sample flaw".parse().unwrap());
        draft.affected = vec![told(None)];
        let told = |lines: &[LineFacts]| draft.clone().against(lines, None).affected;
        assert_eq!(told(&[line(Some(Standing::NotAffected), Ships::Not, draft.affected.clone())]), []);
        let shipped_line = told(&[line(Some(Standing::Affected), shipped(), draft.affected.clone())]);
        assert_eq!(shipped_line[0].fixed.as_ref().unwrap().as_str(), "1.4.2");
        let mut silent = draft.clone();
        silent.affected.clear();
        let added = silent.against(&[line(Some(Standing::Affected), shipped(), Vec::new())], None).affected;
        assert_eq!((added.len(), added[0].tag.as_ref().unwrap().as_str()), (1, "v1.4.2"));
    }
}
