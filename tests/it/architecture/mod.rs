//! The layers and what only one place may do, read from the source.
//!
//! Guards: a module imports what stands to its right in the line of layers, and the few dangerous words stand where they
//! were put. Code that only tests compile is free. Every rule is shown to be able to fail on a sample below.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

mod source;

use source::Source;

/// Who may import what: the longest matching module counts, and an entry also covers what is below it.
///
/// `main -> cli -> { http, worker } -> workflow -> app -> config -> { store git crypto ci export notify forge wire } -> domain`
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("store", &["domain"]),
    ("git", &["domain"]),
    ("crypto", &["domain"]),
    ("ci", &["domain"]),
    ("export", &["domain"]),
    ("notify", &["domain"]),
    ("forge", &["domain"]),
    ("wire", &["domain"]),
    ("config", &["crypto", "git", "ci", "notify", "forge", "domain"]),
    ("app", &["config", "store", "git", "crypto", "ci", "export", "notify", "forge", "domain"]),
    ("workflow", &["app", "config", "store", "git", "crypto", "ci", "export", "notify", "forge", "wire", "domain"]),
    ("worker", &["workflow", "app", "store::job", "store::Error", "domain"]),
    // Doors read what they need a Grant for, and pass on what git serves; they decide nothing.
    ("http", &["workflow", "app", "config", "wire", "domain", "store", "git::serve"]),
    (
        "cli",
        &["http", "worker", "workflow", "app", "config", "store", "git", "crypto", "ci", "notify", "wire", "domain"],
    ),
    // The client half of the binary knows the server by its JSON only.
    ("cli::client", &["wire", "domain", "crypto"]),
    ("cli::hook", &["wire::hook", "domain"]),
    ("main", &["cli"]),
];

/// Words that may stand only in these files or folders, and why.
const WORDS: &[(&str, &[&str], &str)] = &[
    (
        "Command::new",
        &["git/command.rs", "ci/sandbox.rs", "cli/client/command.rs", "cli/demo/command.rs"],
        "a child process is made where its environment and arguments are watched over",
    ),
    ("sqlx::", &["store/"], "all SQL is in store"),
    // What begins in git and in the client is no transaction: they cannot see the store.
    (
        ".begin(",
        &["git/", "cli/client/", "store/", "app/", "workflow/", "worker/", "cli/admin"],
        "a write is a use case",
    ),
    (".begin_with(", &["store/mod.rs"], "there is one way to start a write"),
    ("Membership {", &["store/member.rs"], "who is in a case is known from the database alone"),
    ("TeamSeat {", &["store/member.rs"], "who is in a team is known from the database alone"),
    ("admission(", &["store/member.rs", "workflow/mod.rs", "workflow/case.rs"], "one way leads into a case"),
    ("#[allow(", &[], "an exception is expected, with its reason"),
];

/// The longest file, with its tests.
const LINES: usize = 500;

/// One source file of the crate.
struct File {
    /// Its path below `src`.
    path: String,
    source: Source,
}

impl File {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), source: Source::new(text) }
    }

    /// Returns the module the file holds: `git::command` for `git/command.rs`, `git` for `git/mod.rs`.
    fn module(&self) -> String {
        let name = self.path.strip_suffix(".rs").expect("sources end in .rs");
        name.strip_suffix("/mod").unwrap_or(name).replace('/', "::")
    }

    /// Returns how many `super::` lead from here to the root of the crate.
    fn depth(&self) -> usize {
        self.module().matches("::").count() + 1
    }

    /// Says where this file imports what its layer may not.
    fn wrong_imports(&self) -> Vec<String> {
        let module = self.module();
        if module == "lib" {
            return Vec::new();
        }
        let layer = LAYERS.iter().filter(|(name, _)| is_in(&module, name)).max_by_key(|(name, _)| name.len());
        let Some((own, may)) = layer else {
            return vec![format!("{}: the module {module} has no layer", self.path)];
        };
        let paths = if module == "main" { self.root_paths() } else { self.source.crate_paths(self.depth()) };
        let wrong =
            paths.into_iter().filter(|(_, path)| !is_in(path, own) && !may.iter().any(|name| is_in(path, name)));
        wrong.map(|(line, path)| format!("{}:{line}: {own} may not import {path}", self.path)).collect()
    }

    /// Returns the paths into the library, which the binary sees under its name.
    fn root_paths(&self) -> Vec<(usize, String)> {
        let text = self.source.text().replace("embargo::", "crate::");
        Source::new(&text).crate_paths(1)
    }

    /// Says where a word stands in this file that is kept to other places.
    fn wrong_words(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (word, places, why) in WORDS {
            if places.iter().any(|place| self.path.starts_with(place)) {
                continue;
            }
            for at in self.source.places(word) {
                // A definition, an impl or a return type is no construction.
                if !matches!(self.source.word_before(at), "struct" | "impl" | "for" | "->" | "fn") {
                    wrong.push(format!("{}:{}: `{word}`: {why}", self.path, self.source.line(at)));
                }
            }
        }
        wrong
    }
}

/// Tells whether a path is a module or something in it.
fn is_in(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Reads every file of Rust below a folder, by its path there.
fn texts(root: &Path) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the sources are here") {
            let path = entry.expect("the sources can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(root).expect("it was found below").to_string_lossy().into_owned();
                texts.insert(below, std::fs::read_to_string(&path).expect("sources are text"));
            }
        }
    }
    texts
}

/// Reads all sources but those that only tests compile.
fn files() -> Vec<File> {
    let texts = texts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let tests: Vec<PathBuf> = texts.iter().flat_map(|(path, text)| test_files(path, text)).collect();
    let kept = texts.iter().filter(|(path, _)| !tests.iter().any(|test| Path::new(path).starts_with(test)));
    kept.map(|(path, text)| File::new(path, text)).collect()
}

/// Returns the files and folders that a file declares for its tests: `#[cfg(test)] mod name;`.
fn test_files(path: &str, text: &str) -> Vec<PathBuf> {
    let own = Path::new(path);
    let folder = match own.file_stem().and_then(|stem| stem.to_str()) {
        Some("mod" | "lib" | "main") | None => own.with_file_name(""),
        Some(_) => own.with_extension(""),
    };
    let mut found = Vec::new();
    for (at, mark) in text.match_indices("#[cfg(test)]") {
        let mut rest = text[at + mark.len()..].trim_start();
        let mut named = None;
        while let Some(attribute) = rest.strip_prefix("#[") {
            let (inside, after) = attribute.split_once(']').unwrap_or((attribute, ""));
            if let Some(value) = inside.trim().strip_prefix("path") {
                named = Some(value.trim_matches(|c: char| c == '=' || c == '"' || c.is_whitespace()).to_owned());
            }
            rest = after.trim_start();
        }
        let Some((name, _)) = rest.strip_prefix("mod ").and_then(|rest| rest.split_once(';')) else { continue };
        if name.contains('{') {
            continue;
        }
        match named {
            Some(named) => found.push(own.with_file_name(named)),
            None => found.extend([folder.join(format!("{name}.rs")), folder.join(name)]),
        }
    }
    found
}

#[test]
fn every_module_imports_only_what_stands_below_it() {
    let files = files();
    assert!(files.len() > 20, "the sources were not found");
    let wrong: Vec<String> = files.iter().flat_map(File::wrong_imports).collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn dangerous_words_stand_only_where_they_were_put() {
    let wrong: Vec<String> = files().iter().flat_map(File::wrong_words).collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn no_file_is_too_long_to_be_read() {
    let mut long = Vec::new();
    for folder in ["src", "tests/it", "benches"] {
        let texts = texts(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
        assert!(texts.len() > 5, "{folder} was not found");
        let lines = texts.into_iter().map(|(path, text)| (path, text.lines().count()));
        long.extend(
            lines.filter(|(_, lines)| *lines > LINES).map(|(path, lines)| format!("{folder}/{path}: {lines} lines")),
        );
    }
    assert!(long.is_empty(), "split by concept:\n{}\n", long.join("\n"));
}

#[test]
fn a_wrong_import_is_found_however_it_is_written() {
    for text in [
        "use crate::store;",
        "use crate::{\n    domain::id::{CaseId, PersonId},\n    store::{self as rows, Tx},\n};",
        "fn f() { crate :: domain::x(); crate::store::Store::open() }",
        "use super::super::store::Tx;",
        "use super::{access, super::store};\nuse crate::{git::{a, b as c}, store};",
    ] {
        let wrong = File::new("git/sample.rs", text).wrong_imports();
        assert!(wrong.iter().any(|line| line.contains("git may not import store")), "{text}: {wrong:?}");
    }
    let wrong = File::new("worker/sample.rs", "use crate::store::{job, Error, account};").wrong_imports();
    assert_eq!(wrong, ["worker/sample.rs:1: worker may not import store::account"]);
    let wrong = File::new("main.rs", "fn main() { embargo::store::open() }").wrong_imports();
    assert_eq!(wrong, ["main.rs:1: main may not import store::open"]);
    let open = "pub(in crate::cli) enum A {}\npub(crate) struct B;";
    assert_eq!(File::new("cli/client/sample.rs", open).wrong_imports(), [""; 0], "to be seen is not to import");
    assert_eq!(File::new("helpers.rs", "").wrong_imports(), ["helpers.rs: the module helpers has no layer"]);
}

#[test]
fn comments_literals_and_tests_break_no_rule() {
    let text = r##"
//! crate::store and sqlx::query
/* crate::store */
const A: &str = "crate::store \" sqlx::query";
const B: &str = r#"crate::store " Command::new"#;
const C: (char, char) = ('"', '\'');
fn f<'a>(x: &'a str) -> &'a str { x }
#[cfg(test)]
use crate::store::Tx;
use crate::domain::id;
#[cfg(test)]
mod tests {
    use crate::store;
    fn f() { Command::new("git"); }
}
"##;
    let file = File::new("git/sample.rs", text);
    assert_eq!(file.wrong_imports(), [""; 0]);
    assert_eq!(file.wrong_words(), [""; 0]);
}

#[test]
fn a_dangerous_word_in_the_wrong_file_is_found() {
    let text = "impl Membership {\n    fn f() -> Membership {\n        Membership { case }\n    }\n}\nfn g() { sqlx::query!(); Command::new(a) }";
    let wrong = File::new("http/sample.rs", text).wrong_words();
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    assert!(wrong.iter().any(|line| line.starts_with("http/sample.rs:3: `Membership {`")), "{wrong:?}");
    assert_eq!(File::new("store/member.rs", text).wrong_words().len(), 1);
}

#[test]
fn files_declared_for_tests_are_known() {
    let text = "mod a;\n#[cfg(test)]\nmod escapes;\n#[cfg(test)]\n#[path = \"serve_tests.rs\"]\nmod tests;";
    let of = |path| test_files(path, text).iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    assert_eq!(of("ci/mod.rs"), ["ci/escapes.rs", "ci/escapes", "ci/serve_tests.rs"]);
    assert_eq!(of("git/serve.rs"), ["git/serve/escapes.rs", "git/serve/escapes", "git/serve_tests.rs"]);
}
