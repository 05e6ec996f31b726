//! A case that follows up on a public one: its fix was not enough, or broke something.

use super::id::words;
use super::plain::AdvisoryId;

words! {
    /// Why a case follows up on another.
    Because {
        /// The fix left a part of the flaw open.
        Incomplete = "incomplete",
        /// Another fix takes the place of the first.
        Superseded = "superseded",
        /// The fix made a flaw of its own.
        Regression = "regression",
    }
}

words! {
    /// Which of two linked cases is meant.
    End {
        /// The one that was public first.
        Earlier = "earlier",
        /// The one that follows up on it.
        Later = "later",
    }
}

/// Writes the sentence with which the first advisory may tell of the second; people change it as they like.
pub fn drafted(because: Because, second: &AdvisoryId) -> String {
    match because {
        Because::Incomplete => format!("The fix was incomplete: {second} tells of the rest."),
        Because::Superseded => format!("Another fix takes the place of this one: see {second}."),
        Because::Regression => format!("The fix had a flaw of its own: see {second}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::text::Sentence;

    #[test]
    fn every_drafted_sentence_may_be_published() {
        let second: AdvisoryId = "DEMO-2027-0002".parse().unwrap();
        for because in Because::ALL {
            let sentence: Sentence = drafted(*because, &second).parse().unwrap();
            assert!(sentence.as_str().contains("DEMO-2027-0002"));
        }
    }
}
