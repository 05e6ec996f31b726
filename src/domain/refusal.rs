//! Every "no" of the rules, with the sentence the refused person reads.
//!
//! A refusal says what to do. It never holds a secret, so it may be shown and logged as it is.

use std::borrow::Cow;
use std::fmt;

/// Text that does not have the form its type asks for; displays the rule it broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(Cow<'static, str>);

impl Malformed {
    /// States the rule that the text broke, as a clause without a full stop.
    pub const fn new(rule: &'static str) -> Self {
        Self(Cow::Borrowed(rule))
    }

    /// States a rule that had to be composed, for example one naming the allowed values.
    pub fn composed(rule: String) -> Self {
        Self(Cow::Owned(rule))
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

/// Whether a refusal is about the person, the moment, or the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// A member, but without this right: HTTP 403.
    Person,
    /// Right person, wrong moment or state: HTTP 409.
    Moment,
    /// The input breaks a rule: HTTP 422.
    Input,
    /// A fresh sign-in is needed: HTTP 403 with the way to get one.
    Fresh,
}

/// A rule said no. Displays one sentence that tells the person what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    kind: RefusalKind,
    sentence: Cow<'static, str>,
}

impl Refusal {
    /// Refuses because of who asks.
    pub fn person(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: RefusalKind::Person, sentence: sentence.into() }
    }

    /// Refuses because of the state things are in.
    pub fn moment(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: RefusalKind::Moment, sentence: sentence.into() }
    }

    /// Refuses because of what was sent.
    pub fn input(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: RefusalKind::Input, sentence: sentence.into() }
    }

    /// Refuses until the person has signed in again.
    pub fn fresh() -> Self {
        Self {
            kind: RefusalKind::Fresh,
            sentence: "This needs a sign-in from the last five minutes: run `embargo login` and try again.".into(),
        }
    }

    /// Tells what the refusal is about.
    pub fn kind(&self) -> RefusalKind {
        self.kind
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Refusal {}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        let mut sentence = malformed.0.into_owned();
        if let Some(first) = sentence.get(..1) {
            let capital = first.to_uppercase();
            sentence.replace_range(..1, &capital);
        }
        if !sentence.ends_with('.') {
            sentence.push('.');
        }
        Self::input(sentence)
    }
}
