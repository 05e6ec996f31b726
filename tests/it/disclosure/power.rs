//! Power that is lost while the database writes: what was being written down is gone, whole or in part, and the run goes on.
//!
//! A write counts once it is synchronised, so only the last one can be torn: its pages stand at the end of the write-ahead log
//! (sqlite.org/fileformat2, section 4), and here they are cut off, or some of their sectors are what never reached the disk.

use std::path::Path;

use super::kill::child;
use super::{House, INSTANT, PLANNED, PUBLIC, SINGLE, settle};
use crate::support::mail::MailServer;

/// What a disk writes at once.
const SECTOR: usize = 512;
/// Bytes before the first frame of a log.
const HEADER: usize = 32;
/// Bytes of a frame before its page.
const FRAME: usize = 24;

/// How the last write was torn.
#[derive(Clone, Copy, Debug)]
enum Torn {
    /// Nothing of it reached the disk.
    Whole,
    /// It ends in the middle of a page.
    Half,
    /// Its last sector was not written.
    End,
    /// Its first sector was not written, and all the others were.
    Begin,
}

const TORN: [Torn; 4] = [Torn::Whole, Torn::Half, Torn::End, Torn::Begin];

/// Tears the last write out of a log.
fn tear(log: &Path, torn: Torn) {
    let mut bytes = std::fs::read(log).unwrap();
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let frame = FRAME + usize::try_from(number(8)).unwrap();
    let salt = bytes[16..24].to_vec();
    // A frame that ends a write names the size of the database; one of another salt is of an earlier round.
    let frames = (0..).map(|n| HEADER + n * frame).take_while(|at| at + frame <= bytes.len());
    let valid = frames.take_while(|at| bytes[at + 8..at + 16] == salt[..]);
    let ends: Vec<_> = valid.filter(|at| number(at + 4) != 0).map(|at| at + frame).collect();
    let [.., before, end] = ends[..] else { panic!("two writes at least: {ends:?}") };
    let half = before + (end - before) / 2;
    match torn {
        Torn::Whole => bytes.truncate(before),
        Torn::Half => bytes.truncate(half),
        Torn::End => bytes[end - SECTOR..end].fill(0),
        Torn::Begin => bytes[before..before + SECTOR].fill(0),
    }
    if let Torn::End | Torn::Begin = torn {
        bytes.truncate(end);
    }
    std::fs::write(log, bytes).unwrap();
    // It lies in memory, as the file system has it, and does not outlive the power.
    let _ = std::fs::remove_file(log.with_extension("db-shm"));
}

#[tokio::test]
async fn power_lost_in_the_middle_of_any_write_of_a_run_loses_that_write_alone() {
    let mail = MailServer::start().await;
    let house = House::new(&SINGLE, Some(&mail)).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    drop(app);
    house.save();
    mail.clear();
    let app = house.open(INSTANT).await;
    settle(&app).await;
    let effects = armed.view(&app).await.effects.len();
    drop(app);
    let expected = mail.ids(PUBLIC);
    let steps = (0..effects).flat_map(|at| [(at, "started"), (at, "ended")]);
    for ((at, step), torn) in steps.zip(TORN.into_iter().cycle()) {
        house.restore();
        mail.clear();
        let point = format!("disclose:{at}:{step}");
        assert_eq!(child(&house, &point).await, Some(9), "nothing passed {point}");
        tear(&house.root().join("data/embargo.db-wal"), torn);
        let app = house.open(INSTANT).await;
        settle(&app).await;
        house.is_public(&app, &armed).await;
        assert_eq!(armed.view(&app).await.summary.state, "done", "{point}, {torn:?}");
        drop(app);
        let mut mails = mail.ids(PUBLIC);
        mails.dedup();
        assert_eq!(mails, expected, "{point}, {torn:?}");
    }
}
