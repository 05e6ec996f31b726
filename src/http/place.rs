//! Where a person is brought back to after signing in.
//!
//! Guards: a closed list of our own pages, parsed from a cookie that only this server sets: there is no other address that a
//! sign-in could lead to. Leaves who may see the page to the page.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::request::Parts;

use super::caller::{cookie, name, set_cookie};
use crate::app::App;
use crate::config::BaseUrl;
use crate::domain::id::{CaseId, CheckRunId, ProjectId, ReleaseId};

const RETURN: &str = "embargo-return";
/// Seconds in which a sign-in leads back.
const PATIENCE: u32 = 15 * 60;

/// A page that asked for a sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A case.
    Case(CaseId),
    /// The invitation to a case.
    Invitation(CaseId),
    /// The advisory of a case.
    Advisory(CaseId),
    /// A release.
    Release(ReleaseId),
    /// A project.
    Project(ProjectId),
    /// A check.
    Check(CheckRunId),
    /// One's own account.
    Account,
}

/// The place a browser was sent to the sign-in from, if it was.
#[derive(Debug)]
pub(crate) struct CameFrom(pub(crate) Option<Place>);

impl Place {
    /// Returns the page a path belongs to: itself, or the page on which its form stands.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix('/')?.split('/');
        match (parts.next()?, parts.next(), parts.next()) {
            ("cases", Some(case), Some("advisory")) => Some(Self::Advisory(case.parse().ok()?)),
            ("cases", Some(case), Some("join" | "decline")) => Some(Self::Invitation(case.parse().ok()?)),
            ("cases", Some(case), _) => Some(Self::Case(case.parse().ok()?)),
            ("releases", Some(release), _) => Some(Self::Release(release.parse().ok()?)),
            ("projects", Some(project), _) => Some(Self::Project(project.parse().ok()?)),
            ("checks", Some(run), _) => Some(Self::Check(run.parse().ok()?)),
            ("account", ..) => Some(Self::Account),
            _ => None,
        }
    }

    /// Returns the cookie by which a sign-in leads back here.
    pub(crate) fn kept(&self, base: &BaseUrl) -> HeaderValue {
        set_cookie(base, RETURN, &self.to_string(), PATIENCE)
    }

    /// Returns the cookie that forgets it.
    pub(crate) fn forgotten(base: &BaseUrl) -> HeaderValue {
        set_cookie(base, RETURN, "", 0)
    }
}

/// Writes the path of the page.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Case(case) => write!(f, "/cases/{case}"),
            Self::Invitation(case) => write!(f, "/cases/{case}/join"),
            Self::Advisory(case) => write!(f, "/cases/{case}/advisory"),
            Self::Release(release) => write!(f, "/releases/{release}"),
            Self::Project(project) => write!(f, "/projects/{project}"),
            Self::Check(run) => write!(f, "/checks/{run}"),
            Self::Account => f.write_str("/account"),
        }
    }
}

impl FromRequestParts<Arc<App>> for CameFrom {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let kept = cookie(&parts.headers, &name(&app.config.base_url, RETURN));
        Ok(Self(kept.and_then(|path| Place::of(path.expose()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_back_to_the_page_it_stands_on() {
        for (path, page) in [
            ("/releases/DEMO-R1/arm", "/releases/DEMO-R1"),
            ("/releases/DEMO-R1", "/releases/DEMO-R1"),
            ("/cases/DEMO-1/date", "/cases/DEMO-1"),
            ("/cases/DEMO-1/decline", "/cases/DEMO-1/join"),
            ("/cases/DEMO-1/advisory/edit", "/cases/DEMO-1/advisory"),
            ("/projects/demo/releases", "/projects/demo"),
            ("/checks/019685a0b1c27d3e8f90a1b2c3d4e5f7/cancel", "/checks/019685a0b1c27d3e8f90a1b2c3d4e5f7"),
            ("/account/tokens", "/account"),
        ] {
            assert_eq!(Place::of(path).unwrap().to_string(), page);
        }
    }

    #[test]
    fn no_sign_in_leads_to_an_address_that_is_not_ours() {
        for path in [
            "",
            "/",
            "//example.net",
            "/\\example.net",
            "https://example.net/cases/DEMO-1",
            "/cases/..",
            "/cases/DEMO-1\r\nx",
            "/releases//example.net",
            "/sign-in",
            "/r/",
        ] {
            assert_eq!(Place::of(path), None, "{path:?}");
        }
    }
}
