//! Tests of [`super`]: what a backport does to a clone and to the private remote, with the real git.

use std::fs;

use super::super::command::git;
use super::*;

/// A public repository with three lines, the private remote of a case with a fix of `main`, and a clone.
struct Scene {
    folder: tempfile::TempDir,
    case: CaseId,
}

impl Scene {
    fn set() -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap(), case: "OCTO-1".parse().unwrap() };
        for name in ["public", "private", "clone"] {
            fs::create_dir(scene.at(name)).unwrap();
        }
        scene.git("public", &["init", "-q", "-b", "main"]);
        for (key, value) in [("user.name", "Sample"), ("user.email", "sample@example.org")] {
            scene.git("public", &["config", key, value]);
        }
        scene.write("public", "code.c", "one\ntwo\nthree\nfour\nfive\n");
        scene.git("public", &["branch", "1.x"]);
        scene.git("public", &["switch", "-q", "-c", "0.9"]);
        scene.write("public", "code.c", "one\nsomething else\nthree\nfour\nfive\n");
        scene.git("public", &["switch", "-q", "main"]);
        scene.write("public", "news", "more\n");
        scene.git("private", &["clone", "-q", "--bare", "../public", "."]);
        scene.git("public", &["switch", "-q", "-c", "fix"]);
        scene.write("public", "test.c", "a test\n");
        scene.write("public", "code.c", "one\nTWO\nthree\nfour\nfive\n");
        scene.git("public", &["push", "-q", "../private", "fix:refs/heads/fix/main"]);
        scene.git("public", &["switch", "-q", "main"]);
        scene.git("clone", &["clone", "-q", "../public", "."]);
        for (key, value) in [("user.name", "Sample Backporter"), ("user.email", "other@example.org")] {
            scene.git("clone", &["config", key, value]);
        }
        scene
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn git(&self, name: &str, arguments: &[&str]) -> String {
        git(&self.at(name), arguments).unwrap().unwrap_or_else(|| panic!("{arguments:?}"))
    }

    fn write(&self, name: &str, file: &str, text: &str) {
        fs::write(self.at(name).join(file), text).unwrap();
        self.git(name, &["add", "-A"]);
        self.git(name, &["-c", "commit.gpgsign=false", "commit", "-q", "-m", &format!("change {file}")]);
    }

    fn port(&self, lines: &[&str], origin: Origin) -> Result<Vec<Ported>> {
        let (private, folder) = (self.at("private"), self.at("clone"));
        let from = "main".parse().unwrap();
        let start = Start { folder: &folder, case: &self.case, url: private.to_str().unwrap(), line: from };
        let lines: Vec<LineName> = lines.iter().map(|line| line.parse().unwrap()).collect();
        start.connect("https://security.example.org", Output::new(false))?;
        port(&start, &lines, origin, Output::new(false))
    }

    fn log(&self, name: &str, format: &str, range: &str) -> String {
        self.git(name, &["log", "--reverse", &format!("--format={format}"), range])
    }
}

#[test]
fn what_fits_is_pushed_with_its_authors_and_what_conflicts_is_left_in_progress() {
    let scene = Scene::set();
    let ported = scene.port(&["0.9", "1.x"], Origin::Silent).unwrap();
    let Outcome::Conflict { commit, subject, paths } = &ported[0].outcome else { panic!("{ported:?}") };
    assert_eq!((commit, subject.as_str()), (&scene.git("private", &["rev-parse", "fix/main"]), "change code.c"));
    assert_eq!(paths, &["code.c"]);
    let head = scene.git("private", &["rev-parse", "refs/heads/fix/1.x"]);
    assert_eq!(ported[1].outcome, Outcome::Pushed { head });
    let told = scene.log("private", "%an %cn %s%b", "1.x..fix/1.x");
    assert_eq!(told, "Sample Sample Backporter change test.c\nSample Sample Backporter change code.c");
    assert!(git(&scene.at("private"), &["rev-parse", "-q", "--verify", "refs/heads/fix/0.9"]).unwrap().is_none());

    // As after any cherry-pick that stopped: resolve, continue, and a plain push.
    assert_eq!(scene.git("clone", &["branch", "--show-current"]), "OCTO-1/fix/0.9");
    fs::write(scene.at("clone/code.c"), "one\nSOMETHING\nthree\nfour\nfive\n").unwrap();
    scene.git("clone", &["add", "-A"]);
    scene.git("clone", &["-c", "core.editor=true", "cherry-pick", "--continue"]);
    scene.git("clone", &["push", "-q"]);
    assert_eq!(scene.log("private", "%s", "0.9..fix/0.9"), "change test.c\nchange code.c");
    let names = ["for-each-ref", "--format=%(refname:short)", "refs/heads"];
    assert_eq!(scene.git("public", &names).replace('\n', " "), "0.9 1.x fix main", "nothing went to the public one");
}

#[test]
fn an_origin_is_named_only_where_it_becomes_public() {
    let scene = Scene::set();
    scene.port(&["1.x"], Origin::Named).unwrap();
    let fix = scene.git("private", &["rev-parse", "fix/main"]);
    assert!(scene.log("private", "%b", "fix/1.x~1..fix/1.x").contains(&format!("(cherry picked from commit {fix})")));
    assert_eq!(scene.git("clone", &["branch", "--show-current"]), "main", "one stands where one stood");
}

#[test]
fn a_line_that_holds_it_already_gets_nothing_and_unfinished_work_is_not_touched() {
    let scene = Scene::set();
    scene.git("public", &["switch", "-q", "-c", "2.x", "fix"]);
    scene.git("public", &["push", "-q", "../private", "2.x"]);
    assert_eq!(scene.port(&["2.x"], Origin::Silent).unwrap()[0].outcome, Outcome::Nothing);
    fs::write(scene.at("clone/code.c"), "mine\n").unwrap();
    let refused = scene.port(&["1.x"], Origin::Silent).unwrap_err().to_string();
    assert!(refused.contains("Commit or stash"), "{refused}");
    assert_eq!(fs::read_to_string(scene.at("clone/code.c")).unwrap(), "mine\n");
    scene.git("clone", &["checkout", "-q", "."]);
    scene.git("clone", &["branch", "OCTO-1/fix/1.x"]);
    assert!(scene.port(&["1.x"], Origin::Silent).unwrap_err().to_string().contains("was not pushed"));
}

#[test]
fn conflicts_are_data_for_programs() {
    let conflict = Outcome::Conflict { commit: "1".repeat(40), subject: "x".into(), paths: vec!["a.c".into()] };
    let ported = Ported { line: "1.x".parse().unwrap(), outcome: conflict };
    let json = serde_json::to_value(&ported).unwrap();
    assert_eq!((json["line"].as_str(), json["outcome"].as_str()), (Some("1.x"), Some("conflict")));
    assert_eq!(json["paths"][0], "a.c");
    let asked = |to: &[&str]| Backport {
        case: "OCTO-1".parse().unwrap(),
        from: "main".parse().unwrap(),
        to: to.iter().map(|line| line.parse().unwrap()).collect(),
        repository: None,
    };
    let said = advice(&asked(&["1.x"]), &[ported]).unwrap();
    assert!(said.contains("git cherry-pick --continue") && !said.contains("Then"), "{said}");
}
