//! Every "no" of the rules, with the sentence the refused person reads.
//!
//! A refusal says what to do. It never holds a secret, so it may be shown and logged as it is.

use std::borrow::Cow;
use std::fmt;

use jiff::SignedDuration;

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
    /// Too often: HTTP 429 with the whole seconds to wait.
    Often(u32),
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

    /// Refuses what is asked too often until this much time has passed; `what` is a sentence without its full stop.
    pub fn often(what: &str, wait: SignedDuration) -> Self {
        let seconds = u32::try_from(wait.as_secs() + i64::from(wait.subsec_nanos() > 0)).unwrap_or(u32::MAX).max(1);
        let wait = match seconds {
            1 => "a second".to_owned(),
            2..60 => format!("{seconds} seconds"),
            60 => "a minute".to_owned(),
            _ => format!("{} minutes", seconds.div_ceil(60)),
        };
        Self { kind: RefusalKind::Often(seconds), sentence: format!("{what}: try again in {wait}.").into() }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_too_often_is_told_how_long_to_wait() {
        for (milliseconds, seconds, words) in
            [(1, 1, "a second"), (1_001, 2, "2 seconds"), (60_000, 60, "a minute"), (60_001, 61, "2 minutes")]
        {
            let refusal = Refusal::often("Too many", SignedDuration::from_millis(milliseconds));
            assert_eq!(refusal.kind(), RefusalKind::Often(seconds));
            assert_eq!(refusal.to_string(), format!("Too many: try again in {words}."));
        }
    }
}
