//! What can be wrong with an upstream repository, told apart by the words of a failed fetch.
//!
//! Guards: what the transport said stays in [`Said`]; [`MirrorError::cause`] names it in words of ours, fit for a log.

use super::error::{Error, Said};

/// Why a mirror could not be brought up to date. Nothing visible has changed then.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// No answer, or an answer that says "later".
    #[error("the upstream repository does not answer")]
    Down {
        /// What the transport said.
        said: Said,
    },
    /// Redirected, or not there any more.
    #[error("the upstream repository is not at its address any more")]
    Moved {
        /// What the transport said.
        said: Said,
    },
    /// The credential is missing or not accepted.
    #[error("the upstream repository asks for a credential, or refuses ours")]
    Denied {
        /// What the transport said.
        said: Said,
    },
    /// It lies on this machine and belongs to another user, which git does not touch.
    #[error("the upstream repository belongs to another user of this machine")]
    Anothers,
    /// Something answers, but it is no git repository.
    #[error("no git repository answers at the upstream address")]
    NotGit {
        /// What the transport said.
        said: Said,
    },
    /// The upstream lists no branch and no tag; what was mirrored stays.
    #[error("the upstream repository is empty; what was mirrored before stays")]
    Empty,
    /// The upstream sent refs without all their objects.
    #[error("the upstream repository sent an incomplete history; nothing was changed")]
    Incomplete,
    /// The caller ended the update.
    #[error("the update of the mirror was interrupted")]
    Interrupted,
    /// Our side failed.
    #[error(transparent)]
    Ours(#[from] Error),
}

impl MirrorError {
    /// Names what lay behind it, for the log; an address or a path is never part of it.
    pub fn cause(&self) -> &'static str {
        /// What transports say, and what it means; the first that is found counts.
        const WORDS: [(&str, &str); 12] = [
            ("upstream_seconds", "the fetch took longer than `upstream_seconds`"),
            ("resolve", "its name cannot be resolved"),
            ("dns", "its name cannot be resolved"),
            ("refused", "the connection was refused"),
            ("unreachable", "there is no way to it"),
            ("host key", "its host key is not the known one"),
            ("certificate", "its certificate is not accepted"),
            ("tls", "no TLS connection came about"),
            ("timed out", "it did not answer in time"),
            ("status 5", "it answered that it has a fault"),
            ("reset", "the connection broke off"),
            ("permission denied", "a file or folder of it may not be read"),
        ];
        let said = match self {
            Self::Down { said } | Self::Moved { said } | Self::Denied { said } | Self::NotGit { said } => said,
            Self::Anothers => return "git refuses it for its dubious ownership",
            Self::Empty | Self::Incomplete | Self::Interrupted | Self::Ours(_) => return "",
        };
        let said = said.text().to_ascii_lowercase();
        WORDS.iter().find(|(word, _)| said.contains(word)).map_or("it did not say why", |(_, meaning)| meaning)
    }
}

/// Tells from the words of a failed fetch what is wrong with the upstream.
pub(super) fn classify(error: &gix::Error) -> MirrorError {
    let words: Vec<String> = error.iter_errors_with_locations().map(|source| format!("{source:#}")).collect();
    let text = words.join(": ");
    let said = Said(text.chars().take(2000).collect());
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    if has(&["Received HTTP status 404", "Received HTTP status 410", "Received HTTP status 3"]) {
        MirrorError::Moved { said }
    } else if error.is_unauthenticated()
        || error.is_permission_denied()
        || has(&[
            "Received HTTP status 401",
            "Received HTTP status 403",
            "redential",
            "uthentication",
            "Permission denied",
        ])
    {
        MirrorError::Denied { said }
    } else if error.is_cancelled() || has(&["nterrupted"]) {
        MirrorError::Interrupted
    } else if has(&["content-type", "Content-Type", "packet line", "packetline", "smart", "not a valid"]) {
        MirrorError::NotGit { said }
    } else {
        MirrorError::Down { said }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_learns_the_cause_and_not_the_address() {
        let down = |text: &str| MirrorError::Down { said: Said(text.to_owned()) }.cause();
        assert_eq!(down("Could not resolve host: git.example.org"), "its name cannot be resolved");
        assert_eq!(down("/srv/sample.git: Connection refused (os error 111)"), "the connection was refused");
        assert_eq!(down("something about git.example.org"), "it did not say why");
    }
}
