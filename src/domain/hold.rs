//! Why a run is held: one reason, what happened, and what helps.

use super::id::words;

words! {
    /// The one reason a release is held for.
    HoldReason {
        /// A public line is not where it was when the release was frozen.
        LineMoved = "line_moved",
        /// A tag of the release exists already.
        TagTaken = "tag_taken",
        /// The public repository did not answer in time; nothing was sent.
        UpstreamDown = "upstream_down",
        /// The public repository refused the push; nothing was sent.
        PushRefused = "push_refused",
        /// The public repository refused after objects were sent, or has some refs and not others.
        PartlyPublic = "partly_public",
        /// What was frozen is no longer what was approved.
        NotReady = "not_ready",
        /// The server was not there at the instant, and it is too late for it to begin by itself.
        Missed = "missed",
        /// Everything is public, but a channel did not take its part.
        Channel = "channel",
        /// The fixes are public, but a package that is waited for did not come in time.
        Package = "package",
        /// Everything is public, but a hook after the instant was not taken.
        Hook = "hook",
        /// This server could not do its own part.
        Trouble = "trouble",
    }
}

/// Why a release is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The one reason.
    pub reason: HoldReason,
    /// A sentence, free of case text.
    pub note: String,
}

impl HoldReason {
    /// Tells what helps: `true` if trying again is safe and may be enough, `false` if a person has to mend something first.
    pub fn safe_to_retry(self) -> bool {
        match self {
            Self::UpstreamDown | Self::Missed | Self::Channel | Self::Package | Self::Hook | Self::Trouble => true,
            Self::LineMoved | Self::TagTaken | Self::PushRefused | Self::PartlyPublic | Self::NotReady => false,
        }
    }

    /// Returns the reason as it is once something is public: there is no plan to go back to any more.
    #[must_use]
    pub fn once_public(self) -> Self {
        match self {
            Self::LineMoved
            | Self::TagTaken
            | Self::UpstreamDown
            | Self::NotReady
            | Self::Missed
            | Self::PartlyPublic => Self::PartlyPublic,
            Self::PushRefused | Self::Channel | Self::Package | Self::Hook | Self::Trouble => self,
        }
    }

    /// Says what to do, in a sentence.
    pub fn advice(self) -> &'static str {
        match self {
            Self::LineMoved => "Needs a person: reopen the plan, rehearse on the new tip, freeze and arm again.",
            Self::TagTaken => "Needs a person: remove the tag in public or plan another one.",
            Self::UpstreamDown => "Safe to retry: resume once the public repository answers.",
            Self::PushRefused => "Needs a person: give the server's key the right to push these refs, then resume.",
            Self::PartlyPublic => {
                "Needs a person now: look at the public refs, push what is missing by hand, then resume."
            }
            Self::NotReady => "Needs a person: see what blocks it, then rehearse, freeze and arm again.",
            Self::Missed => "Needs a person's word: resume to disclose now, or disarm and choose another instant.",
            Self::Channel => "The fixes are public: mend the channel and resume, or give up what it did not take.",
            Self::Package => {
                "The fixes are public: see to the package's build, then resume to wait as long again, or give it up."
            }
            Self::Hook => "Everything is public: mend what the hook calls and resume, or give the hook up.",
            Self::Trouble => "Safe to retry: see the server's log, then resume.",
        }
    }
}
