//! The public record of a case: which lines of it may be opened after the disclosure, and who has to agree.
//!
//! Guards: nothing that the project's configuration does not open, nothing that was for the team alone, and a reporter's own
//! words only with that reporter's agreement. Leaves how it reads to `export`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::id::{ReportId, words};
use super::refusal::Refusal;

words! {
    /// A part of a case that a project may open after the disclosure.
    Part {
        /// When what happened.
        Timeline = "timeline",
        /// What was reported.
        Reports = "reports",
        /// What team and reporters wrote to each other.
        Thread = "thread",
    }
}

words! {
    /// What a reporter says to their own words in public.
    RecordAnswer {
        /// They may be shown.
        Agreed = "agreed",
        /// They may not.
        Declined = "declined",
    }
}

/// Whose words a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// The server's own: what was recorded.
    Events,
    /// The team's.
    Team,
    /// Those of the reporter of this report.
    Reporter(ReportId),
}

/// A line that may be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordLine {
    /// What it is chosen by: the part, and a word or an id.
    pub key: String,
    /// Which part it belongs to.
    pub part: Part,
    /// Whose words it is.
    pub voice: Voice,
    /// When.
    pub at: Timestamp,
    /// The words.
    pub text: String,
}

/// What a reporter said: to what they were asked about, and to what they had written by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Their word.
    pub answer: RecordAnswer,
    /// The parts they were asked about.
    pub parts: Vec<Part>,
    /// When they said so.
    pub at: Timestamp,
}

/// What reporters said so far.
pub type Answers = BTreeMap<ReportId, Said>;

impl RecordLine {
    /// Says why the line may not be opened now, if it may not.
    pub fn may_open(&self, answers: &Answers) -> Result<(), Refusal> {
        let Voice::Reporter(report) = self.voice else { return Ok(()) };
        match answers.get(&report) {
            Some(Said { answer: RecordAnswer::Agreed, parts, at }) if parts.contains(&self.part) && self.at <= *at => {
                Ok(())
            }
            Some(Said { answer: RecordAnswer::Agreed, .. }) => {
                Err(Refusal::moment("The reporter agreed before this was written, or to other parts: ask them again."))
            }
            Some(Said { answer: RecordAnswer::Declined, .. }) => {
                Err(Refusal::moment("The reporter does not want their own words shown: leave them out."))
            }
            None => Err(Refusal::moment(
                "The reporter has not said whether their own words may be shown: they are asked on their page.",
            )),
        }
    }
}

/// Picks the lines of these keys, in the order in which they happened.
pub fn chosen(lines: Vec<RecordLine>, keys: &[String], answers: &Answers) -> Result<Vec<RecordLine>, Refusal> {
    if keys.is_empty() {
        return Err(Refusal::input("Choose at least one line to open."));
    }
    if let Some(unknown) = keys.iter().find(|key| !lines.iter().any(|line| &&line.key == key)) {
        let shown: String = unknown.chars().filter(char::is_ascii_graphic).take(80).collect();
        return Err(Refusal::input(format!("There is no line {shown} to open here: load the lines again.")));
    }
    let mut chosen: Vec<RecordLine> = lines.into_iter().filter(|line| keys.contains(&line.key)).collect();
    for line in &chosen {
        line.may_open(answers)?;
    }
    chosen.sort_by(|a, b| (a.part, a.at, &a.key).cmp(&(b.part, b.at, &b.key)));
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Minted;

    fn line(key: &str, part: Part, voice: Voice, second: i64) -> RecordLine {
        let at = Timestamp::from_second(second).unwrap();
        RecordLine { key: key.to_owned(), part, voice, at, text: "Sample.".to_owned() }
    }

    #[test]
    fn a_reporters_words_are_opened_with_their_agreement_alone() {
        let report = ReportId::mint(1, [1; 10]);
        let lines = || {
            vec![
                line("message/2", Part::Thread, Voice::Team, 3),
                line("message/1", Part::Thread, Voice::Reporter(report), 2),
                line("timeline/opened", Part::Timeline, Voice::Events, 1),
            ]
        };
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let all = keys(&["message/1", "message/2", "timeline/opened"]);
        let said = |answer, parts: &[Part], second| Said {
            answer,
            parts: parts.to_vec(),
            at: Timestamp::from_second(second).unwrap(),
        };
        let both = [Part::Reports, Part::Thread];
        let agreed = |parts: &[Part], second| Answers::from([(report, said(RecordAnswer::Agreed, parts, second))]);
        // Neither silence nor a no; nor a yes to something else, or to what was written before.
        let declined = Answers::from([(report, said(RecordAnswer::Declined, &both, 9))]);
        for answers in [Answers::new(), declined, agreed(&[Part::Reports], 9), agreed(&both, 1)] {
            assert!(chosen(lines(), &all, &answers).is_err());
            let without = chosen(lines(), &keys(&["message/2", "timeline/opened"]), &answers).unwrap();
            assert_eq!(without.len(), 2);
        }
        let other = Answers::from([(ReportId::mint(1, [2; 10]), said(RecordAnswer::Agreed, &both, 9))]);
        assert!(chosen(lines(), &all, &other).is_err(), "another reporter's word is not theirs");
        let opened = chosen(lines(), &all, &agreed(&both, 2)).unwrap();
        let order: Vec<_> = opened.iter().map(|line| line.key.as_str()).collect();
        assert_eq!(order, ["timeline/opened", "message/1", "message/2"]);
        assert!(chosen(lines(), &keys(&["report/9"]), &Answers::new()).is_err());
        assert!(chosen(lines(), &[], &Answers::new()).is_err());
    }
}
