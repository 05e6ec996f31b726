//! What happens after the disclosure: corrections, withdrawals, the archive, cases that follow up, and what is told of it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod change;
mod details;
mod follow_up;
mod record;

use std::path::PathBuf;
use std::sync::Arc;

use embargo::app::{App, CrashPoint};
use embargo::domain::actor::Actor;
use embargo::domain::amendment::AmendmentAct;
use embargo::domain::id::CaseId;
use embargo::notify::Mailer;
use embargo::notify::notice::Notice;
use embargo::wire::advisory::{AdvisoryView, EditAdvisory};
use embargo::wire::amendment::{AmendRequest, PublicView};
use embargo::workflow::{self, advisory, amendment, publication};
use embargo::{store, worker};
use jiff::SignedDuration;

use crate::support::house::{self, Frozen, House, INSTANT, PLANNED, SINGLE, at};
use crate::support::hub::{Hub, TOKEN};
use crate::support::receiver::{Receiver, SECRET};

/// A house whose one release is public, on its own site and in every kind of channel.
struct Out {
    house: House,
    app: Arc<App>,
    armed: Frozen,
    hub: Hub,
    receiver: Receiver,
}

impl Out {
    /// Discloses a release, with these lines of configuration for its project.
    async fn there(decided: &str) -> Self {
        Self::armed(decided).await.disclosed().await
    }

    /// Brings a release as far as being armed.
    async fn armed(decided: &str) -> Self {
        let (house, hub, receiver) = (House::new(&SINGLE, None).await, Hub::open().await, Receiver::listen().await);
        std::fs::create_dir(house.root().join("served")).unwrap();
        house.secret("hook-secret", SECRET);
        house.secret("forge-token", TOKEN);
        if !decided.is_empty() {
            house.decide(decided);
        }
        house.configure(&format!(
            "[[project.channel]]\nname = \"files\"\nkind = \"folder\"\nfolder = \"{root}/served\"\n\
             [[project.channel]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"{hook}\"\nsecret_file = \"{root}/hook-secret\"\n\
             [[project.channel]]\nname = \"forge\"\nkind = \"forge_release\"\nforge = \"github\"\napi = \"{api}\"\n\
             place = \"sample/core\"\nrepository = \"core\"\ntoken_file = \"{root}/forge-token\"\n\
             [[project.channel]]\nname = \"ghsa\"\nkind = \"github_advisory\"\napi = \"{api}\"\n\
             place = \"sample/core\"\ntoken_file = \"{root}/forge-token\"\n\
             [channels]\ntimeout_seconds = 2\n",
            root = house.root().display(),
            hook = receiver.url(),
            api = hub.url(),
        ));
        let app = house.open(PLANNED).await;
        let armed = house.arm(&app).await;
        Self { house, app, armed, hub, receiver }
    }

    /// Discloses it, and goes to an hour later.
    async fn disclosed(self) -> Self {
        let Self { house, app, armed, receiver, .. } = &self;
        app.clock.set(at(INSTANT));
        settle(app).await;
        house.is_public(app, armed).await;
        assert_eq!(armed.view(app).await.summary.state, "done");
        app.clock.set(at(INSTANT) + SignedDuration::from_hours(1));
        receiver.clear();
        self
    }

    /// Starts the server anew with another line of configuration for the project.
    async fn again(self, decided: &str) -> Self {
        let Self { house, app, armed, hub, receiver } = self;
        let now = app.clock.now().to_string();
        drop(app);
        house.decide(decided);
        let app = house.open(&now).await;
        Self { house, app, armed, hub, receiver }
    }

    /// Starts the server anew, to die at this point; at none if it is empty.
    async fn crashing(self, point: &str) -> Self {
        let Self { house, app, armed, hub, receiver } = self;
        let now = app.clock.now();
        drop(app);
        let point = (!point.is_empty()).then(|| point.to_owned());
        let app = house::open(house.root(), now, CrashPoint::at(point)).await;
        Self { house, app, armed, hub, receiver }
    }

    fn case(&self) -> &CaseId {
        &self.armed.cases[0]
    }

    fn alice(&self) -> &Actor {
        &self.armed.team.alice
    }

    fn bob(&self) -> &Actor {
        &self.armed.team.bob
    }

    fn served(&self, path: &str) -> PathBuf {
        self.house.root().join("served").join(path)
    }

    /// Reads the advisory's page of the case.
    async fn view(&self) -> AdvisoryView {
        advisory::show(&self.app, self.alice(), self.case()).await.unwrap()
    }

    /// Reads what it says of what is public.
    async fn public(&self) -> PublicView {
        self.view().await.public.unwrap()
    }

    /// Writes another text into the draft, as alice.
    async fn write(&self, text: &str) {
        let draft = self.view().await;
        let mut advisory = draft.advisory;
        advisory.description = Some(text.parse().unwrap());
        let edited = EditAdvisory { advisory, version: draft.version };
        advisory::edit(&self.app, self.alice(), self.case(), &edited).await.unwrap();
    }

    async fn ask(&self, by: &Actor, act: AmendmentAct, why: &str) -> workflow::Result<()> {
        let wish = AmendRequest { act, why: why.parse().unwrap() };
        amendment::amend(&self.app, by, self.case(), &wish).await
    }

    /// Asks as alice and approves as bob.
    async fn amend(&self, act: AmendmentAct, why: &str) {
        self.ask(self.alice(), act, why).await.unwrap();
        let read = advisory::show(&self.app, self.bob(), self.case()).await.unwrap();
        advisory::approve(&self.app, self.bob(), self.case(), &read.digest.unwrap()).await.unwrap();
    }

    /// Reads a public file.
    async fn file(&self, path: &str) -> String {
        let file = publication::file(&self.app, &path.parse().unwrap()).await.unwrap();
        String::from_utf8(file.body).unwrap()
    }

    async fn osv(&self) -> serde_json::Value {
        serde_json::from_str(&self.file("osv/x_DEMO-2027-0001.json").await).unwrap()
    }

    async fn feed(&self) -> String {
        String::from_utf8(publication::atom(&self.app).await.unwrap()).unwrap()
    }

    /// Counts the mails of a kind that were sent so far.
    async fn mails(&self, notice: &Notice) -> usize {
        worker::settle(&self.app).await.unwrap();
        let Mailer::Outbox(outbox) = &self.app.mailer else { panic!("mail goes into a list") };
        outbox.mails().iter().filter(|mail| &mail.notice == notice).count()
    }

    /// Checks that the chain of events holds.
    async fn intact(&self) {
        let mut rows = self.app.read().await.unwrap();
        let chain = store::event::verify(&mut rows).await.unwrap();
        assert!(matches!(chain, store::event::Verified::Intact { .. }));
    }
}

/// Lets everything happen that is due.
async fn settle(app: &App) {
    worker::settle(app).await.unwrap();
    workflow::sweep::run(app).await.unwrap();
    worker::settle(app).await.unwrap();
}
