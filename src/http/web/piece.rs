//! The pieces that pages share: marks, times, names from outside.
//!
//! Guards: colour never says anything alone, what was not run is not green, a foreign line shows its deceptive characters.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::case::CaseState;
use crate::domain::check::CheckState;
use crate::domain::text::shown;

/// How a mark is coloured. Its text says the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Says nothing good or bad.
    Neutral,
    /// Goes on.
    Busy,
    /// As it should be.
    Good,
    /// Waits for a person.
    Waiting,
    /// Wrong.
    Bad,
}

impl Tone {
    /// The class of the mark, and a sign for those who do not see its colour.
    fn look(self) -> (&'static str, &'static str) {
        match self {
            Self::Neutral => ("mark neutral", "–"),
            Self::Busy => ("mark busy", "…"),
            Self::Good => ("mark good", "✓"),
            Self::Waiting => ("mark waiting", "!"),
            Self::Bad => ("mark bad", "✕"),
        }
    }
}

/// A state as a small coloured mark with a sign and words.
pub(crate) fn mark(tone: Tone, words: &str) -> Markup {
    let (class, sign) = tone.look();
    html! { span class=(class) { span aria-hidden="true" { (sign) } " " (words) } }
}

/// The state of a case. A word that is no state is shown as it is.
pub(crate) fn case_mark(state: &str) -> Markup {
    let (tone, words) = match state.parse::<CaseState>() {
        Ok(CaseState::Received) => (Tone::Waiting, "received"),
        Ok(CaseState::Invalid) => (Tone::Neutral, "not a vulnerability"),
        Ok(CaseState::Valid) => (Tone::Waiting, "confirmed"),
        Ok(CaseState::Accepted) => (Tone::Busy, "being fixed"),
        Ok(CaseState::Deferred) => (Tone::Neutral, "put off"),
        Ok(CaseState::Closed) => (Tone::Neutral, "closed"),
        Err(_) if state == "published" => (Tone::Good, "published"),
        Err(_) => (Tone::Neutral, state),
    };
    mark(tone, words)
}

/// The state of a check. What was not run here is neutral, never green.
pub(crate) fn check_mark(state: &str) -> Markup {
    let (tone, words) = match state.parse::<CheckState>() {
        Ok(CheckState::Waiting) => (Tone::Busy, "in the queue"),
        Ok(CheckState::Blocked) => (Tone::Busy, "waits for another job"),
        Ok(CheckState::Running) => (Tone::Busy, "running"),
        Ok(CheckState::Cancelling) => (Tone::Busy, "stopping"),
        Ok(CheckState::Success) => (Tone::Good, "passed"),
        Ok(CheckState::Failure) => (Tone::Bad, "failed"),
        Ok(CheckState::Cancelled) => (Tone::Neutral, "cancelled"),
        Ok(CheckState::Skipped) => (Tone::Neutral, "skipped"),
        Ok(CheckState::TimedOut) => (Tone::Bad, "ran too long"),
        Ok(CheckState::Lost) => (Tone::Bad, "lost"),
        Ok(CheckState::Unsupported) => (Tone::Neutral, "not run here"),
        Ok(CheckState::NeedsApproval) => (Tone::Waiting, "needs approval"),
        Err(_) => (Tone::Neutral, "no checks yet"),
    };
    mark(tone, words)
}

/// A word of the tables, as people write it.
pub(crate) fn word(text: &str) -> String {
    text.replace('_', " ")
}

/// An instant that came as RFC 3339: in UTC here, in the reader's zone once the script ran.
pub(crate) fn moment(at: &str) -> Markup {
    at.parse::<Timestamp>().map_or_else(|_| html! { (at) }, time)
}

/// An instant to the minute.
pub(crate) fn time(at: Timestamp) -> Markup {
    html! { time datetime=(at) { (at.strftime("%Y-%m-%d %H:%M UTC").to_string()) } }
}

/// An instant to the second that keeps its UTC text beside the reader's own time.
pub(crate) fn exact_time(at: &str) -> Markup {
    let exact =
        |at: Timestamp| html! { time.exact datetime=(at) { (at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()) } };
    at.parse::<Timestamp>().map_or_else(|_| html! { (at) }, exact)
}

/// Says how far an instant is away, in the largest unit that fits.
pub(crate) fn distance(at: &str, now: Timestamp) -> String {
    let Ok(at) = at.parse::<Timestamp>() else { return String::new() };
    let seconds = at.as_second() - now.as_second();
    let (n, unit) = match seconds.abs() {
        0..60 => return if seconds < 0 { "just now".to_owned() } else { "within a minute".to_owned() },
        s @ 60..7_200 => (s / 60, "minute"),
        s @ 7_200..172_800 => (s / 3_600, "hour"),
        s => (s / 86_400, "day"),
    };
    let plural = if n == 1 { "" } else { "s" };
    if seconds < 0 { format!("{n} {unit}{plural} ago") } else { format!("in {n} {unit}{plural}") }
}

/// The length of a file, in units people read.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KiB", bytes / 1_024),
        1_048_576..1_073_741_824 => format!("{} MiB", bytes / 1_048_576),
        _ => format!("{} GiB", bytes / 1_073_741_824),
    }
}

/// A foreign line: its own direction, its deceptive characters written out.
pub(crate) fn foreign(text: &str) -> Markup {
    html! { bdi { (shown(text)) } }
}

/// A sentence of ours: what stands between backticks is code, as it is on a terminal.
pub(crate) fn sentence(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    // An odd one out marks nothing.
    let closed = parts.len() % 2 == 1;
    html! {
        @for (n, part) in parts.iter().enumerate() {
            @if n % 2 == 1 && (closed || n + 1 < parts.len()) { code { (shown(part)) } }
            @else if n % 2 == 1 { "`" (shown(part)) }
            @else { (shown(part)) }
        }
    }
}

/// The short form of a commit id.
pub(crate) fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// A field in which a person enters an instant, in UTC because no script may be there to know the zone.
pub(crate) fn instant_field(id: &str, label: &str) -> Markup {
    html! {
        label for=(id) { (label) " " span.soft { "(UTC)" } }
        input id=(id) name="at" type="datetime-local" required;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_run_is_not_green() {
        for state in CheckState::ALL {
            let green = check_mark(state.as_str()).into_string().contains("good");
            assert_eq!(green, *state == CheckState::Success, "{state}");
        }
    }

    #[test]
    fn distances_are_said_in_the_largest_unit_that_fits() {
        let now: Timestamp = "2030-01-10T12:00:00Z".parse().unwrap();
        for (at, words) in [
            ("2030-01-10T12:00:30Z", "within a minute"),
            ("2030-01-10T12:01:00Z", "in 1 minute"),
            ("2030-01-10T14:00:00Z", "in 2 hours"),
            ("2030-01-13T12:00:00Z", "in 3 days"),
            ("2030-01-08T11:00:00Z", "2 days ago"),
            ("soon", ""),
        ] {
            assert_eq!(distance(at, now), words, "{at}");
        }
    }

    #[test]
    fn what_a_sentence_puts_between_backticks_is_code() {
        assert_eq!(
            sentence("Run `embargo login`, <then> again.").into_string(),
            "Run <code>embargo login</code>, &lt;then&gt; again."
        );
        assert_eq!(sentence("Nothing.").into_string(), "Nothing.");
        assert_eq!(sentence("It's 5` long.").into_string(), "It's 5` long.");
    }

    #[test]
    fn a_commit_subject_cannot_turn_the_line_around() {
        assert!(!foreign("a\u{202e}b").into_string().contains('\u{202e}'));
    }
}
