//! How bad a vulnerability is: a word, a CVSS vector, or a stated reason why there is none.
//!
//! Guards: a stored vector is complete, free of metrics that say nothing, and spelled as its specification spells it, so
//! that every reader of the published documents computes the same score. Leaves the choice of a score to people.

use std::fmt;
use std::str::FromStr;

use cvss::Cvss;
use serde::{Deserialize, Serialize};

use super::id::words;
use super::refusal::Malformed;
use super::text::Title;

words! {
    /// A severity as a word, mildest first, so that words compare.
    SeverityWord {
        /// Little harm, or hard to reach.
        Low = "low",
        /// Some harm.
        Medium = "medium",
        /// Serious harm.
        High = "high",
        /// Drop everything.
        Critical = "critical",
    }
}

/// What an advisory says about how bad it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "lowercase", deny_unknown_fields)]
pub enum Severity {
    /// No severity is given; the reason is published in its place.
    None(Title),
    /// A word without a vector.
    Word(SeverityWord),
    /// A CVSS vector, from which score and word follow.
    Cvss(CvssVector),
}

impl Severity {
    /// Returns the severity as a word, if it has one; a vector that scores 0.0 has none.
    pub fn word(&self) -> Option<SeverityWord> {
        match self {
            Self::None(_) => None,
            Self::Word(word) => Some(*word),
            Self::Cvss(vector) => vector.word(),
        }
    }
}

/// The version of CVSS a vector is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CvssVersion {
    /// CVSS v3.1 (FIRST, revision 1).
    V3,
    /// CVSS v4.0 (FIRST).
    V4,
}

/// A CVSS vector of version 4.0 or 3.1 with every base metric, in the order of its specification, without `:X` metrics.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CvssVector {
    text: String,
    cvss: Cvss,
}

impl CvssVector {
    /// Returns the vector as it is published.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the version the vector is written in.
    pub fn version(&self) -> CvssVersion {
        if self.text.starts_with("CVSS:4") { CvssVersion::V4 } else { CvssVersion::V3 }
    }

    /// Returns the score, 0.0 to 10.0: of version 3.1 the base score, of 4.0 the score of all metrics given.
    pub fn score(&self) -> f64 {
        self.cvss.score()
    }

    /// Returns the band the score falls into (CVSS v4.0, section 6); none for 0.0.
    pub fn word(&self) -> Option<SeverityWord> {
        match self.cvss.severity() {
            cvss::Severity::None => None,
            cvss::Severity::Low => Some(SeverityWord::Low),
            cvss::Severity::Medium => Some(SeverityWord::Medium),
            cvss::Severity::High => Some(SeverityWord::High),
            cvss::Severity::Critical => Some(SeverityWord::Critical),
        }
    }
}

impl FromStr for CvssVector {
    type Err = Malformed;

    /// Reads a vector; metrics that are not defined (`:X`) are dropped, and those of version 3.1 put in order.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        const FORM: Malformed =
            Malformed::new("a CVSS vector starts with CVSS:4.0/ or CVSS:3.1/ and lists metrics such as AV:N");
        let text = text.trim();
        if text.len() > 400 || !text.is_ascii() {
            return Err(FORM);
        }
        let given: Vec<&str> = text.split('/').filter(|metric| !metric.ends_with(":X")).collect();
        let cvss: Cvss = given.join("/").parse().map_err(|_| FORM)?;
        let canonical = cvss.to_string();
        let same = match &cvss {
            Cvss::CvssV31(vector) => {
                let base = [
                    vector.av.is_some(),
                    vector.ac.is_some(),
                    vector.pr.is_some(),
                    vector.ui.is_some(),
                    vector.s.is_some(),
                    vector.c.is_some(),
                    vector.i.is_some(),
                    vector.a.is_some(),
                ];
                if base.contains(&false) {
                    return Err(Malformed::new("a CVSS:3.1 vector needs all of AV, AC, PR, UI, S, C, I and A"));
                }
                sorted(given) == sorted(canonical.split('/').collect())
            }
            Cvss::CvssV40(_) => given == canonical.split('/').collect::<Vec<_>>(),
            _ => return Err(Malformed::new("only CVSS 4.0 and CVSS 3.1 vectors are taken")),
        };
        if !same {
            return Err(Malformed::new(
                "the CVSS vector is not spelled as its specification says: capital letters, each metric once, in order",
            ));
        }
        Ok(Self { text: canonical, cvss })
    }
}

impl TryFrom<String> for CvssVector {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<CvssVector> for String {
    fn from(vector: CvssVector) -> Self {
        vector.text
    }
}

impl fmt::Display for CvssVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for CvssVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CvssVector({} bytes)", self.text.len())
    }
}

fn sorted(mut metrics: Vec<&str>) -> Vec<&str> {
    metrics.sort_unstable();
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;

    const V31: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
    const V40: &str = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N";

    #[test]
    fn a_vector_tells_its_score_and_word() {
        let old: CvssVector = V31.parse().unwrap();
        assert_eq!((old.score().to_string().as_str(), old.word()), ("9.8", Some(SeverityWord::Critical)));
        let new: CvssVector = V40.parse().unwrap();
        assert_eq!((new.score().to_string().as_str(), new.word()), ("9.3", Some(SeverityWord::Critical)));
        assert_eq!((old.version(), new.version()), (CvssVersion::V3, CvssVersion::V4));
        let harmless: CvssVector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N".parse().unwrap();
        assert_eq!(harmless.word(), None);
    }

    #[test]
    fn metrics_that_say_nothing_are_dropped_and_the_order_is_mended() {
        assert_eq!(format!("{V40}/E:X").parse::<CvssVector>().unwrap().as_str(), V40);
        assert_eq!("CVSS:3.1/AC:L/AV:N/PR:N/UI:N/S:U/C:H/I:H/A:H/E:X".parse::<CvssVector>().unwrap().as_str(), V31);
    }

    #[test]
    fn vectors_that_two_readers_could_score_differently_are_refused() {
        for bad in [
            "",
            "9.8",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H",
            "CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "CVSS:3.1/AV:n/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "CVSS:4.0/AC:L/AV:N/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N",
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/U:RED",
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/",
            "CVSS:4.1/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
            "AV:N/AC:L/Au:N/C:N/I:N/A:C",
        ] {
            assert!(bad.parse::<CvssVector>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_severity_survives_json() {
        for severity in [
            Severity::None("depends on the configuration".parse().unwrap()),
            Severity::Word(SeverityWord::High),
            Severity::Cvss(V40.parse().unwrap()),
        ] {
            let json = serde_json::to_string(&severity).unwrap();
            assert_eq!(serde_json::from_str::<Severity>(&json).unwrap(), severity, "{json}");
        }
        assert!(serde_json::from_str::<Severity>(r#"{"kind":"cvss","value":"CVSS:3.1/AV:N"}"#).is_err());
    }
}
