//! Reports as the API takes them, and the reporter's page.

use serde::{Deserialize, Serialize};

use super::case::MessageView;

/// What a reporter needs to know before writing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IntakeView {
    /// The project's short name.
    pub project: String,
    /// The name people know.
    pub name: String,
    /// To whom attachments are encrypted, one recipient a line as `age -R` reads them. Empty: none can be taken.
    pub recipients: String,
    /// Bytes one attachment may have.
    pub attachment_bytes: u64,
    /// Why reports cannot be taken now, if so.
    pub refused: Option<String>,
}

/// The answer to a report. The claim code is shown this once and never again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiptView {
    /// The case.
    pub case: String,
    /// The way back in: keep it on paper or in a password manager.
    pub claim_code: String,
    /// The page where it is entered.
    pub page: String,
    /// A secret feed that says only that there is news.
    pub feed: String,
    /// A token for the reporter's side of the API, good for a short while: attachments go with it.
    pub visit: String,
}

/// A receipt with the server's signature, and what its hash covers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignedReceiptView {
    /// The receipt: no word of the report.
    pub receipt: String,
    /// An armored SSH signature over it, in the namespace `file`.
    pub signature: String,
    /// What the receipt's hash of the report covers; shown to nobody before the disclosure.
    pub opening: String,
}

/// A reporter's claim code to be exchanged for a visit.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimRequest {
    /// The claim code.
    pub claim_code: String,
}

/// A visit: the reporter's side of the API for a short while.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VisitView {
    /// The case.
    pub case: String,
    /// The token, sent as bearer.
    pub visit: String,
    /// Until when, RFC 3339.
    pub expires_at: String,
}

/// A text for the thread.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextRequest {
    /// The text.
    pub text: crate::domain::text::Body,
}

/// The reporter's page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReporterView {
    /// The case.
    pub case: String,
    /// The project's name.
    pub project: String,
    /// What was reported.
    pub title: String,
    /// The state in plain words.
    pub state: String,
    /// What happens next, in plain words.
    pub next: String,
    /// The agreed date, RFC 3339.
    pub date: Option<String>,
    /// A date the team proposes and the reporter has not answered.
    pub date_proposed_by_team: Option<String>,
    /// A date the reporter proposed and the team has not answered.
    pub date_proposed_by_you: Option<String>,
    /// The reporter's side of the thread.
    pub thread: Vec<MessageView>,
    /// What was attached.
    pub attachments: Vec<super::case::AttachmentView>,
    /// How the reporter will be thanked.
    pub credit: String,
    /// Where the advisory is, once it is public.
    pub advisory: Option<String>,
    /// To whom further attachments are encrypted.
    pub recipients: String,
    /// Whether the server can sign a receipt.
    #[serde(default)]
    pub receipts: bool,
    /// Whether their own words may stand in the public record of the case, if that is asked.
    #[serde(default)]
    pub record: Option<super::record::RecordQuestion>,
}

/// An attachment that was stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredView {
    /// Its id.
    pub id: String,
    /// Bytes of ciphertext.
    pub size: u64,
    /// SHA-256 of the ciphertext.
    pub sha256: String,
    /// Whether the plaintext passed through the server's memory.
    pub passed_through_server: bool,
}
