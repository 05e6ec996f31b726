//! The client's commands as people run them, on machines of their own, against a real server.

use std::os::unix::fs::PermissionsExt as _;

use embargo::domain::access::Role;

use crate::support::program::Machine;
use crate::support::server::TestApp;

const PROOF: &str = "a proof of concept, for the team's eyes only\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_goes_from_a_reporters_machine_to_a_members_and_to_nobody_elses() {
    let test = TestApp::start().await;
    test.member("manager", Role::ReleaseManager).await;
    test.person("outsider").await;
    let (manager, outsider) = (test.machine("manager").await, test.machine("outsider").await);
    let reporter = Machine::new(test.site.path().join("home-reporter"));
    std::fs::write(reporter.file("report.md"), "The sample overflows.").unwrap();
    std::fs::write(reporter.file("proof.py"), PROOF).unwrap();
    let desk = test.url("/report/sample");
    let submit = ["report", "submit", &desk, "--title", "Overflow", "--text-file", "report.md", "--attach", "proof.py"];
    let missing = [&submit[..], &["--attach", "nowhere.py"]].concat();
    let ended = reporter.run(&missing).await;
    assert_eq!(ended.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("nowhere.py could not be read"), "{ended:?}");
    let receipt = reporter.json(&[&submit[..], &["--claim-file", "claim", "--anonymous"]].concat()).await;
    let case = receipt["case"].as_str().unwrap();
    assert_eq!(case, "SAMPLE-1", "what was refused before opened no case");
    assert_eq!(std::fs::metadata(reporter.file("claim")).unwrap().permissions().mode() & 0o777, 0o600);

    let status = reporter.json(&["report", "status", "--claim-file", "claim"]).await;
    assert_eq!(status["attachments"][0]["name"], "proof.py");
    let shown = manager.json(&["case", "show", case]).await;
    let id = shown["attachments"][0]["id"].as_str().unwrap();
    assert_eq!(shown["attachments"][0]["passed_through_server"], false);

    let (own, others) = (test.key_file("manager"), test.key_file("outsider"));
    let (own, others) = (own.to_str().unwrap(), others.to_str().unwrap());
    let with = |key| ["attachment", "get", case, id, "--identity", key];
    assert!(manager.refused(&with(others)).await.contains("key"), "a key it is not for");
    assert!(!manager.file("proof.py").exists());
    manager.json(&with(own)).await;
    assert_eq!(std::fs::read_to_string(manager.file("proof.py")).unwrap(), PROOF);
    std::fs::write(manager.file("proof.py"), "mine").unwrap();
    assert!(manager.refused(&with(own)).await.contains("--force"));
    assert_eq!(std::fs::read_to_string(manager.file("proof.py")).unwrap(), "mine");
    // Whoever has no seat learns nothing, not even that there is such a case.
    let unknown = outsider.refused(&["case", "show", "SAMPLE-999"]).await.replace("SAMPLE-999", case);
    assert_eq!(outsider.refused(&["case", "show", case]).await, unknown);
    assert_eq!(outsider.refused(&with(others)).await, unknown);

    std::fs::write(reporter.file("more.md"), "It also underflows.").unwrap();
    reporter.json(&["report", "reply", "--claim-file", "claim", "--text-file", "more.md"]).await;
    reporter.json(&["report", "credit", "--claim-file", "claim", "--credit", "Sample Reporter"]).await;
    reporter.json(&["report", "attach", "--claim-file", "claim", "more.md"]).await;
    let early = reporter.refused(&["report", "record", "--claim-file", "claim", "agree"]).await;
    assert!(early.contains("not public yet"), "{early}");
    let thread = manager.json(&["case", "show", case]).await;
    assert!(thread["thread"].to_string().contains("It also underflows."));
    assert_eq!(thread["attachments"].as_array().unwrap().len(), 2);
    std::fs::write(reporter.file("wrong"), "emc_0000-0000-0000-0000\n").unwrap();
    reporter.refused(&["report", "status", "--server", &test.url(""), "--claim-file", "wrong"]).await;
    test.settle().await;
}
