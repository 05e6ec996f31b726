//! `embargo release arm` and `disclose-now`: what becomes public is shown before anybody says that it shall.
//!
//! Guards: armed is the digest that was shown, or that a person names because they read it elsewhere; nobody's silence is a yes.

use super::server::Server;
use super::{Failure, Output, Result, prompt};
use crate::domain::digest::Digest;
use crate::domain::id::ReleaseId;
use crate::domain::text::shown;
use crate::wire::release::{Arm, ReleaseView};

/// Shows what would be armed and arms exactly that: by a person's yes, or by the digest that a person read elsewhere.
pub(super) async fn arm(
    server: &Server,
    release: &ReleaseId,
    read: Option<&Digest>,
    output: Output,
) -> Result<ReleaseView> {
    let view: ReleaseView = server.get(&format!("/releases/{release}")).await?;
    let Some(frozen) = &view.digest else {
        return Err(Failure::Refused(format!(
            "{release} is {}: only what is frozen is armed (`embargo release freeze {release}`).",
            shown(&view.summary.state)
        )));
    };
    let digest: Digest = frozen.parse()?;
    if read.is_some_and(|read| *read != digest) {
        return Err(Failure::Refused(format!(
            "{release} is frozen as {digest} now, which is not what you name: read it again (`embargo release show {release}`)."
        )));
    }
    output.remark(&super::release::told(&view));
    output.remark(&format!(
        "Once enough people armed it, this becomes public at {} by itself; what is held back follows as it says above.\n\
         Read the advisories as they will be published: embargo advisory preview {}",
        shown(&view.summary.due_at),
        shown(view.cases.first().map_or("", String::as_str))
    ));
    let sure = read.is_some() || prompt::confirm(&format!("Arm {release} as {digest}?")).unwrap_or(false);
    if !sure {
        return Err(Failure::Refused(
            "Nothing was armed. Answer `y` where you are asked, or give --digest with the digest you read where nobody can be asked."
                .to_owned(),
        ));
    }
    server.post(&format!("/releases/{release}/arm"), &Arm { digest }).await
}

/// Says what disclosing now would mean, asks, and says that it is to be.
pub(super) async fn disclose_now(
    server: &Server,
    (release, yes): (&ReleaseId, bool),
    output: Output,
) -> Result<ReleaseView> {
    let view: ReleaseView = server.get(&format!("/releases/{release}")).await?;
    output.remark(&meaning(&view));
    let sure = yes || prompt::confirm(&format!("Disclose {release} now?")).unwrap_or(false);
    if !sure {
        return Err(Failure::Refused(format!(
            "{release} stays as it is. Say `yes`, or give --yes where nobody can be asked."
        )));
    }
    server.ask(&format!("/releases/{release}/disclose-now")).await
}

/// Says what disclosing now would mean.
fn meaning(view: &ReleaseView) -> String {
    let Some(haste) = &view.haste else { return format!("{} is {}.", view.summary.id, view.summary.state) };
    let mut lines =
        vec!["Merges, tags and advisories become public at once, as they were frozen or rehearsed. Advisories bear the instant at \
              which this is decided; commits and tags keep their date."
            .to_owned()];
    lines.extend(haste.passes_over.iter().map(|sentence| format!("passed over: {}", shown(sentence))));
    lines.extend(haste.blocked_by.iter().map(|sentence| format!("in the way: {}", shown(sentence))));
    if haste.needed > 1 {
        lines.push(format!("{} of {} people have said so within the last hour.", haste.asked_by.len(), haste.needed));
    }
    lines.join("\n")
}
