//! `embargo release hold-details` and `embargo advisory details`: when technical details follow that are held back.
//!
//! Guards: what becomes public at once is said before it is asked for. Leaves the rules to the server.

use clap::{ArgGroup, Args};
use jiff::Timestamp;

use super::date::instant;
use super::server::Server;
use super::{Output, Result};
use crate::domain::audience::Lead;
use crate::domain::id::{CaseId, ReleaseId};
use crate::domain::text::shown;
use crate::wire::advisory::AdvisoryView;
use crate::wire::details::{self as wire, ReleaseDetailsView};
use crate::wire::release::ReleaseView;

/// Arguments of `embargo release hold-details`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("when").required(true))]
pub(in crate::cli) struct HoldDetails {
    /// Which release
    release: ReleaseId,
    /// How long after the advisory, such as `7d`
    #[arg(long, value_name = "TIME", group = "when")]
    after: Option<Lead>,
    /// Publish them with the advisory
    #[arg(long, group = "when")]
    at_once: bool,
}

/// Arguments of `embargo advisory details`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("when").required(true))]
pub(in crate::cli) struct MoveDetails {
    /// The case
    case: CaseId,
    /// Publish them now
    #[arg(long, group = "when")]
    now: bool,
    /// Publish them at this instant, such as `2030-01-15T13:00:00Z` or `2030-01-15T14:00[Europe/Berlin]`
    #[arg(long, value_name = "INSTANT", value_parser = instant, group = "when")]
    at: Option<Timestamp>,
    /// Do not publish them, until you say otherwise
    #[arg(long, group = "when")]
    never: bool,
}

/// Says when the technical details of a planned release follow.
pub(super) async fn hold(server: &Server, wish: &HoldDetails) -> Result<ReleaseView> {
    let request = wire::HoldDetails { after: wish.after };
    server.post(&format!("/releases/{}/hold-details", wish.release), &request).await
}

/// Gives what is held back of a public advisory another time.
pub(super) async fn put_off(server: &Server, wish: &MoveDetails, output: Output) -> Result<()> {
    let MoveDetails { case, now, at, never: _ } = wish;
    let request = match (now, at) {
        (true, _) => wire::MoveDetails::Now,
        (false, Some(at)) => wire::MoveDetails::At { at: *at },
        (false, None) => wire::MoveDetails::Never,
    };
    if *now {
        output.remark(&format!("Publishing the technical details of {case}, as they were approved."));
    }
    let view: AdvisoryView = server.post(&format!("/cases/{case}/advisory/details"), &request).await?;
    let details = view.public.as_ref().and_then(|public| public.details.as_ref());
    let stands = details.map(wire::DetailsView::words).unwrap_or_default();
    output.result(&view, &format!("{case}: {}", shown(&stands)))
}

/// Says when the details of a release follow, and where those stand that are held back.
pub(super) fn of_release(view: &ReleaseDetailsView) -> String {
    let mut lines = vec![format!("technical details: follow after {}, on {}", view.after, view.at)];
    lines.extend(view.advisories.iter().map(|each| format!("    {}: {}", each.case, shown(&each.words()))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, clap::Parser)]
    enum Line {
        Hold(HoldDetails),
        Move(MoveDetails),
    }

    #[test]
    fn a_wish_names_exactly_one_time() {
        let parses = |line: &str| <Line as clap::Parser>::try_parse_from(line.split_whitespace()).is_ok();
        for line in [
            "x hold DEMO-R1 --after 7d",
            "x hold DEMO-R1 --at-once",
            "x move DEMO-1 --now",
            "x move DEMO-1 --never",
            "x move DEMO-1 --at 2030-01-15T13:00:00Z",
        ] {
            assert!(parses(line), "{line}");
        }
        for line in [
            "x hold DEMO-R1",
            "x hold DEMO-R1 --after 7d --at-once",
            "x hold DEMO-R1 --after 91d",
            "x move DEMO-1",
            "x move DEMO-1 --now --never",
        ] {
            assert!(!parses(line), "{line}");
        }
    }
}
