//! Receipts: a reporter takes home what proves, later and to anybody, what arrived here and when.

use super::{Error, Result, open};
use crate::app::App;
use crate::crypto::sshsig;
use crate::domain::access::Action;
use crate::domain::actor::Actor;
use crate::domain::digest::Digest;
use crate::domain::id::CaseId;
use crate::domain::receipt::{Receipt, ReceivedFile, opening};
use crate::domain::refusal::Refusal;
use crate::domain::report::ReportBody;
use crate::store;
use crate::wire::report::SignedReceiptView;

/// Writes and signs the receipt of the reporter who asks. Nothing is kept of it: what it says is what the database holds.
pub async fn signed(app: &App, actor: &Actor, case: &CaseId) -> Result<SignedReceiptView> {
    let mut tx = app.begin("receipt.sign").await?;
    let grant = open(&mut tx, actor, case, Action::ReadCase).await?;
    let Some(report) = grant.confined_to_report() else { return Err(Error::NotFound) };
    let signer = app.keys.tag_signer().ok_or_else(|| {
        Refusal::moment("This server has no key that signs: it gives no receipts. Ask the team for a signed word.")
    })?;
    let unsealing = app.unsealing(&mut tx, &grant).await?;
    let reports = store::report::of_case(&mut tx, &grant).await?;
    let own = reports.into_iter().find(|row| row.id == report).ok_or(Error::NotFound)?;
    let body: ReportBody = unsealing.open(("report", "body"), &report.to_string(), &own.body)?;
    let mut files: Vec<_> = store::report::attachments(&mut tx, &grant)
        .await?
        .into_iter()
        .filter(|file| file.report == Some(report))
        .map(|file| ReceivedFile {
            at: file.stored_at,
            sha256: Digest::from_bytes(file.sha256),
            size: u64::try_from(file.size).unwrap_or_default(),
        })
        .collect();
    files.sort_by_key(|file| file.at);
    app.commit(tx).await?;
    let opening = opening(&own.salt, &body);
    let receipt = Receipt {
        server: app.config.base_url.as_str().parse()?,
        case: case.clone(),
        received_at: own.received_at,
        report: Digest::of(opening.as_bytes()),
        files,
    };
    let receipt = receipt.to_string();
    let signature = signer.sign(sshsig::FILE, receipt.as_bytes())?;
    Ok(SignedReceiptView { receipt, signature, opening })
}
