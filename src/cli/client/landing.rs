//! The command about tests that become public later.

use clap::Args;
use jiff::Timestamp;

use super::date::instant;
use super::server::Server;
use super::{Output, Result};
use crate::domain::id::ReleaseId;
use crate::domain::landing::{TestsDue, TestsWish};
use crate::domain::repo::{LineName, RepoName};
use crate::domain::text::shown;
use crate::wire::landing::{LandingView, SetTests, TestsView};
use crate::wire::release::ReleaseView;

/// Arguments of `embargo release tests`.
#[derive(Debug, Args)]
pub(crate) struct Tests {
    /// Which release
    release: ReleaseId,
    #[command(flatten)]
    when: When,
    /// One line alone, once the release is public
    #[arg(long)]
    line: Option<LineName>,
    /// The repository, if several have a line of this name
    #[arg(long, requires = "line")]
    repository: Option<RepoName>,
}

/// When they become public.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct When {
    /// This long after the release is public, such as `14d`
    #[arg(long, value_name = "TIME")]
    after: Option<TestsDue>,
    /// At an instant, such as `2030-01-15T13:00:00Z`, once the release is public
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    at: Option<Timestamp>,
    /// Now, once the release is public; what needed a person is tried again
    #[arg(long)]
    now: bool,
    /// Not by this server
    #[arg(long)]
    never: bool,
}

impl When {
    fn wish(&self) -> TestsWish {
        match (self.after, self.at) {
            (Some(due), _) => TestsWish::Due(due),
            (None, Some(at)) => TestsWish::At(at),
            (None, None) if self.now => TestsWish::Now,
            (None, None) => TestsWish::Due(TestsDue::Never),
        }
    }
}

/// Says when they become public.
pub(super) async fn run(server: &Server, asked: &Tests, output: Output) -> Result<ReleaseView> {
    let Tests { release, when, line, repository } = asked;
    let which = line.as_ref().map_or_else(|| "the tests".to_owned(), |line| format!("tests/{line}"));
    output.remark(&match when.wish() {
        TestsWish::Now => format!("Will have {which} of {release} put onto the public lines now."),
        TestsWish::At(at) => format!("Will have {which} of {release} put onto the public lines at {at}."),
        TestsWish::Due(TestsDue::Never) => format!("Will keep {which} of {release} private."),
        TestsWish::Due(TestsDue::After(lead)) => {
            format!("Will have {which} of {release} put onto the public lines {} after it is public.", lead.words())
        }
    });
    let wish = SetTests { when: when.wish(), line: line.clone(), repository: repository.clone() };
    server.post(&format!("/releases/{release}/tests"), &wish).await
}

/// Says of each line what becomes of its tests.
pub(super) fn told(tests: &TestsView) -> Vec<String> {
    let line = |line: &LandingView| {
        let LandingView { repository, line: name, cases, state, due_at, commit, note, commands } = line;
        let due = match (due_at, tests.due.as_deref()) {
            (Some(at), _) => format!(" {at}"),
            (None, None) if state == "held_back" => " nobody said when they follow".to_owned(),
            (None, _) => String::new(),
        };
        let commit = commit.as_ref().map(|commit| format!(" as {commit}")).unwrap_or_default();
        let mut lines = vec![
            format!("tests {repository} {name} of {}: {state}{due}{commit} {}", cases.join(" "), shown(note))
                .trim_end()
                .to_owned(),
        ];
        lines.extend(commands.iter().map(|command| format!("  {}", shown(command))));
        lines
    };
    tests.lines.iter().flat_map(line).collect()
}
