//! How fixes reach a line: merged, replayed or as one commit, with the project's words, and pushed as it was rehearsed.

use embargo::domain::recipe::Strategy;
use embargo::wire::release::SetStrategy;
use embargo::workflow::{plan, publication, release};

use super::{House, INSTANT, PLANNED, SINGLE, at, go_to, settle};
use crate::support::git::Git;

const WORDS: &str = "messages = { squash = 'Security: {title}', tag = \"{project} {tag}\\n\\n- {fixes}\", \
                     riders = ['Fixes: {cve}', 'Reported-by: {reporter}', 'Reviewed-by: {reviewer}'] }";

#[tokio::test]
async fn each_line_gets_its_fixes_as_it_takes_them_and_others_move_along() {
    let house = House::new(&SINGLE, None).await;
    house.decide(WORDS);
    house.configure(
        "[[project.repository.line]]\nname = 'main'\nstrategy = 'rebase'\nadvances = ['stable']\nchangelog = 'changes/{tag}.md'\n\
         [[project.repository.line]]\nname = '1.x'\nstrategy = 'squash'\ntags = 'lightweight'\n",
    );
    let (git, core) = (Git::anonymous(), house.upstream("core"));
    git.succeed(&core, &["branch", "stable", "main~1"]).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;

    let view = armed.view(&app).await;
    let (main, old) = (&view.targets[0], &view.targets[1]);
    assert_eq!((main.strategy.as_str(), main.advances.as_slice()), ("rebase", &["stable".to_owned()][..]));
    let riders = "Reported-by: Sample Reporter\nReviewed-by: Sample bob";
    assert_eq!(main.commits.len(), 2, "{:?}", main.commits);
    assert_eq!(main.commits[0].message, "Release notes of v2.0.1");
    assert_eq!(main.commits[1].message, format!("change code.txt\n\n{riders}"));
    assert_eq!(main.tag_message.as_deref(), Some("Demo v2.0.1\n\n- Crafted file runs code (DEMO-2027-0001)"));
    assert_eq!((old.tag_style.as_str(), &old.tag_message), ("lightweight", &None));
    assert_eq!(old.commits[0].message, format!("Security: Crafted file runs code\n\n{riders}"));

    go_to(&app, at(INSTANT)).await;
    house.is_public(&app, &armed).await;
    assert_eq!(git.succeed(&core, &["rev-list", "--merges", "--all"]).await, "");
    assert_eq!(git.succeed(&core, &["rev-parse", "stable"]).await, armed.candidates[0].0.as_str());
    let format = "--format=%an|%cn|%s|%(trailers:only,separator=;)";
    let told = git.succeed(&core, &["log", format, "main~2..main~1"]).await;
    let trailers = "Reported-by: Sample Reporter;Reviewed-by: Sample bob";
    assert_eq!(told, format!("Sample Developer|Security Release|change code.txt|{trailers}"));
    assert_eq!(git.succeed(&core, &["cat-file", "-t", "v2.0.1"]).await, "tag");
    assert_eq!(git.succeed(&core, &["cat-file", "-t", "v1.4.2"]).await, "commit");
    let notes = git.succeed(&core, &["show", "main:changes/v2.0.1.md"]).await;
    assert!(notes.contains("Crafted file runs code") && notes.contains("- Reporter: Sample Reporter"), "{notes}");
    git.succeed(&core, &["fsck", "--strict"]).await;

    let id = publication::published(&app).await.unwrap()[0].id.clone();
    let osv = publication::file(&app, &format!("osv/x_{id}.json").parse().unwrap()).await.unwrap();
    let osv: serde_json::Value = serde_json::from_slice(&osv.body).unwrap();
    let said = osv.to_string();
    for (commit, _) in &armed.candidates {
        assert!(said.contains(&format!("{{\"fixed\":\"{commit}\"}}")), "it names public commits: {said}");
    }
}

#[tokio::test]
async fn another_strategy_is_approved_anew_and_what_is_frozen_keeps_its_words() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let frozen = house.freeze(&app, at(INSTANT)).await;
    let (alice, id) = (&frozen.team.alice, &frozen.release);
    let squash = SetStrategy { repository: None, line: "main".parse().unwrap(), strategy: Strategy::Squash };
    assert!(plan::set_strategy(&app, alice, id, &squash).await.is_err(), "it is frozen");

    release::reopen(&app, alice, id).await.unwrap();
    settle(&app).await;
    assert_eq!(frozen.view(&app).await.targets[0].candidate.as_deref(), Some(frozen.candidates[0].0.as_str()));
    plan::set_strategy(&app, alice, id, &squash).await.unwrap();
    settle(&app).await;
    let view = frozen.view(&app).await;
    assert_ne!(view.targets[0].candidate.as_deref(), Some(frozen.candidates[0].0.as_str()));
    assert_eq!(view.targets[0].commits[0].message, "Fix DEMO-1: Crafted file runs code");
    let kinds: Vec<_> = view.blockers.iter().map(|blocker| blocker.kind.as_str()).collect();
    assert_eq!(kinds, ["advisory_approval"], "the public text names another commit: {:?}", view.blockers);
    house.write_again(&app, &frozen).await;
    release::freeze(&app, alice, id).await.unwrap();
    drop(app);

    house.decide(WORDS);
    let app = house.open(PLANNED).await;
    settle(&app).await;
    frozen.arm(&app).await;
    release::reopen(&app, alice, id).await.unwrap();
    settle(&app).await;
    let view = frozen.view(&app).await;
    assert!(view.targets[0].commits[0].message.starts_with("Security: "), "the plan takes the words of now");
}

#[tokio::test]
async fn a_branch_that_cannot_move_along_is_told_before_anything_freezes() {
    let house = House::new(&SINGLE, None).await;
    house.configure("[[project.repository.line]]\nname = 'main'\nadvances = ['stable']\n");
    let app = house.open(PLANNED).await;
    let team = house.team(&app).await;
    let case = house.accept(&app, &team).await;
    for target in [0, 1] {
        house.fix(&app, &team, (&case, target), ("code.txt", "mended\n")).await;
    }
    let wish = house.plan(std::slice::from_ref(&case), at(INSTANT));
    let id = plan::plan(&app, &team.alice, &wish).await.unwrap();
    settle(&app).await;
    let trouble = release::show(&app, &team.alice, &id).await.unwrap().targets[0].trouble.clone().unwrap();
    assert!(trouble.contains("there is no such branch in public"), "{trouble}");

    let (git, core, work) = (Git::anonymous(), house.upstream("core"), house.work("core"));
    git.succeed(&work, &["checkout", "-q", "-b", "stable", "main~1"]).await;
    git.commit(&work, "apart.txt", "apart\n").await;
    git.succeed(&work, &["push", "-q", core.to_str().unwrap(), "stable"]).await;
    embargo::workflow::project::mirror_now(&app, &team.alice, &"demo".parse().unwrap()).await.unwrap();
    settle(&app).await;
    let trouble = release::show(&app, &team.alice, &id).await.unwrap().targets[0].trouble.clone().unwrap();
    assert!(trouble.contains("holds commits that the line does not"), "{trouble}");
}
