//! What the client shows besides results: aligned columns, sizes, and how far a file is.
//!
//! Guards: text that strangers wrote stays on its line. Leaves what else could steer a terminal to [`Output`](super::Output).

use std::io::{IsTerminal, Write};

use crate::domain::text::shown;

/// Bytes between two looks at the progress.
const STEP: u64 = 1024 * 1024;

/// How far a file is, on one line of the terminal; silent where nobody watches.
pub(super) struct Progress {
    what: String,
    total: Option<u64>,
    done: u64,
    told: u64,
    watched: bool,
}

impl Progress {
    /// Begins; `what` says what happens to which file.
    pub(super) fn new(what: &str, total: Option<u64>) -> Self {
        Self { what: shown(what), total, done: 0, told: 0, watched: std::io::stderr().is_terminal() }
    }

    /// Notes that so many bytes more have passed.
    pub(super) fn add(&mut self, bytes: usize) {
        self.done += bytes as u64;
        if self.watched && self.done - self.told >= STEP {
            self.told = self.done;
            let of = self.total.map_or_else(String::new, |total| format!(" of {}", size(total)));
            let _ = write!(std::io::stderr().lock(), "\r{}: {}{of}   ", self.what, size(self.done));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.told > 0 {
            let _ = writeln!(std::io::stderr().lock());
        }
    }
}

/// Names an amount of bytes in the unit that suits it.
pub(super) fn size(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = units.into_iter().find(|(_, unit)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} bytes"),
        |(name, unit)| format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
    )
}

/// Aligns rows of cells in columns; each cell stays on its line.
pub(super) fn table<const N: usize>(rows: &[[&str; N]]) -> String {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.map(shown)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        assert_eq!(size(0), "0 bytes");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(200 * 1024 * 1024), "200.0 MiB");
    }

    #[test]
    fn a_cell_cannot_leave_its_line() {
        assert_eq!(table(&[["a", "b"], ["cc\nx", "d"]]), "a         b\ncc\\u{a}x  d\n");
    }
}
