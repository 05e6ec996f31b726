//! What surrounds a release: the server's clock, key, mail and disk, and what was tried of it beforehand.
//!
//! A part of [`super::readiness`] that looks at no case and no line.

use jiff::{SignedDuration, Timestamp};

use super::access::Role;
use super::blocker::{Blocker, BlockerKind};
use super::dress::{Dress, DressOutcome};
use super::release::Release;
use super::repo::RepoName;
use super::trial::{Trial, TrialOutcome};

/// What the disk must have left for a release: candidates, documents and the journal are small, and SQLite wants to breathe.
const DISK: u64 = 256 * 1024 * 1024;

/// What is known of a release's surroundings.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// How far the server's clock jumped, if too far to be trusted: positive for ahead.
    pub clock_jumped: Option<SignedDuration>,
    /// Whether tags can be signed: `true` where none has to be.
    pub signing_key: bool,
    /// What keeps mail from getting out, if anything does.
    pub mail_trouble: Option<String>,
    /// The last trial push on each public repository.
    pub trials: Vec<(RepoName, Trial)>,
    /// The last dress rehearsal.
    pub dress: Option<Dress>,
    /// The certificate at the server's own address, if one was seen.
    pub certificate: Option<Certificate>,
    /// Bytes that the data folder's disk has left.
    pub disk_left: u64,
}

/// A certificate, as a stranger meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Good until then.
    Until(Timestamp),
    /// Not taken: it ended, is for another name, or nobody known vouches for it.
    Refused,
}

/// A certificate that is renewed by itself is renewed before this is all that is left.
const RENEWED: SignedDuration = SignedDuration::from_hours(7 * 24);

impl Release {
    /// Lists what in its surroundings blocks this release.
    pub(super) fn surroundings(&self, around: &Surroundings, now: Timestamp) -> Vec<Blocker> {
        let mut blockers = Vec::new();
        let mut add = |kind: BlockerKind, sentence: String| {
            blockers.push(self.blocker(kind, sentence, Role::ReleaseManager));
        };
        if let Some(off) = around.clock_jumped {
            let way = if off.is_negative() { "back" } else { "ahead" };
            let minutes = off.abs().as_mins();
            add(
                BlockerKind::Clock,
                format!("The server's clock jumped {way} by {minutes} minutes: set it right, then restart the server."),
            );
        }
        if !around.signing_key {
            let sentence = "No key to sign tags with: the operator names one in `config.toml`.";
            add(BlockerKind::SigningKey, sentence.to_owned());
        }
        if let Some(sentence) = &around.mail_trouble {
            add(BlockerKind::Mail, sentence.clone());
        }
        for (name, trial) in &around.trials {
            if trial.outcome == TrialOutcome::Refused {
                add(
                    BlockerKind::Access,
                    format!(
                        "The public repository {name} refused a trial of this push at {}: give the server's key or token \
                         the right to push its lines and tags.",
                        minute(trial.tried_at)
                    ),
                );
            }
            if !trial.rules.is_empty() {
                let rules = trial.rules.join("; ");
                add(
                    BlockerKind::Rules,
                    format!(
                        "The forge of {name} would refuse this push: {rules}. Let the server's token pass them by, or suspend them."
                    ),
                );
            }
        }
        if let Some(dress) = around.dress.as_ref().filter(|dress| dress.outcome == DressOutcome::Trouble) {
            add(
                BlockerKind::Dress,
                format!(
                    "The disclosure was performed on copies at {} and did not go as planned. {}",
                    minute(dress.tried_at),
                    dress.note
                ),
            );
        }
        match around.certificate {
            Some(Certificate::Until(end)) if end <= self.due_at && end.duration_since(now) < RENEWED => {
                add(
                    BlockerKind::Certificate,
                    format!(
                        "The certificate of this server's public address ends at {}, before the instant: renew it.",
                        minute(end)
                    ),
                );
            }
            Some(Certificate::Refused) => {
                let sentence = "The certificate of this server's public address is not taken by a stranger: it ended, is for \
                                another name, or nobody known vouches for it. Mend it, or nobody can read the advisory.";
                add(BlockerKind::Certificate, sentence.to_owned());
            }
            Some(Certificate::Until(_)) | None => {}
        }
        if around.disk_left < DISK {
            add(
                BlockerKind::Disk,
                format!(
                    "The disk of the data folder has {} MiB left: make room, at least {} MiB.",
                    around.disk_left / 1024 / 1024,
                    DISK / 1024 / 1024
                ),
            );
        }
        blockers
    }
}

fn minute(at: Timestamp) -> impl std::fmt::Display {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
