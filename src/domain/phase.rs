//! The phases of a disclosure: what each is, whom it holds, and how long it is worth trying.

use jiff::SignedDuration;

use super::hold::HoldReason;
use super::id::words;

words! {
    /// The phases of a disclosure, in order.
    Phase {
        /// Look at the public repository: do its refs stand where the manifest expects them, would it take the push?
        Preflight = "preflight",
        /// Push everything of one repository, all or nothing.
        PushFixes = "push_fixes",
        /// Read the public refs back.
        VerifyPublic = "verify_public",
        /// Publish the advisory of one case on this server's own pages.
        PublishAdvisories = "publish_advisories",
        /// Tell one recipient that there is news.
        NotifyPublic = "notify_public",
        /// Let the case know that it is public.
        OpenCase = "open_case",
        /// See one package appear where it is installed from.
        AwaitPackages = "await_packages",
        /// Publish through one channel; last, so that nothing else waits for a slow one.
        PublishChannels = "publish_channels",
        /// Call one hook, at its time after the instant.
        CallHooks = "call_hooks",
    }
}

impl Phase {
    /// Tells whether a failure in this phase needs a person before the release can be done. Only a mail does not.
    pub fn holds(self) -> bool {
        match self {
            Self::Preflight
            | Self::PushFixes
            | Self::VerifyPublic
            | Self::PublishAdvisories
            | Self::OpenCase
            | Self::AwaitPackages
            | Self::PublishChannels
            | Self::CallHooks => true,
            Self::NotifyPublic => false,
        }
    }

    /// Tells whether it speaks to strangers who may be slow: each of them beside the others, and never before this server's
    /// own part.
    pub fn outside(self) -> bool {
        match self {
            Self::AwaitPackages | Self::PublishChannels | Self::CallHooks => true,
            Self::Preflight
            | Self::PushFixes
            | Self::VerifyPublic
            | Self::PublishAdvisories
            | Self::NotifyPublic
            | Self::OpenCase => false,
        }
    }

    /// How many tries before a person is called. A release that may be half public waits for nobody silently. A package has
    /// the time its project gave it, however often it is looked for.
    pub fn patience(self) -> u32 {
        match self {
            Self::AwaitPackages => u32::MAX,
            Self::NotifyPublic | Self::PublishChannels | Self::CallHooks => 40,
            Self::Preflight | Self::PushFixes | Self::VerifyPublic | Self::PublishAdvisories | Self::OpenCase => 12,
        }
    }

    /// Why a release is held when patience ends.
    pub(super) fn exhausted(self) -> HoldReason {
        match self {
            Self::Preflight => HoldReason::UpstreamDown,
            Self::PushFixes | Self::VerifyPublic => HoldReason::PartlyPublic,
            Self::PublishAdvisories | Self::NotifyPublic | Self::OpenCase => HoldReason::Trouble,
            Self::AwaitPackages => HoldReason::Package,
            Self::PublishChannels => HoldReason::Channel,
            Self::CallHooks => HoldReason::Hook,
        }
    }

    /// How long to wait after this many tries: doubling, up to half a minute for a package, a minute for what holds others,
    /// half an hour for mail, channels and hooks.
    pub fn pause(self, attempts: u32) -> SignedDuration {
        let longest = match self {
            Self::AwaitPackages => 30,
            Self::NotifyPublic | Self::PublishChannels | Self::CallHooks => 1800,
            Self::Preflight | Self::PushFixes | Self::VerifyPublic | Self::PublishAdvisories | Self::OpenCase => 60,
        };
        SignedDuration::from_secs(1_i64.checked_shl(attempts.saturating_sub(1).min(20)).unwrap_or(longest).min(longest))
    }
}
