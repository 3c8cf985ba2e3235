//! What sources may say, and how long they may be.

use super::{File, Findings};

/// Lines that a file may have; at 400 it is time to talk.
const LINES_MAX: usize = 800;

/// Files that may be longer, each with its reason. An entry that is not needed any more is a finding.
const LONG: &[(&str, &str)] = &[];

/// Files that a program writes, and lists and texts that are somebody else's.
const GENERATED: &[&str] = &[
    "Cargo.lock",
    "LICENSE",
    "docs/openapi.json",
    "package-lock.json",
    "password/common.txt",
    "web/src/api/schema.ts",
];

/// A text that may stand in some places only.
struct Reserved {
    texts: &'static [&'static str],
    /// Beginnings of paths where it may stand.
    places: &'static [&'static str],
    /// What to do instead.
    instead: &'static str,
}

const RESERVED: &[Reserved] = &[
    Reserved {
        texts: &["SystemTime::now", "Timestamp::now", "Zoned::now"],
        places: &["crates/cardea-server/src/clock.rs", "crates/cardea-testkit/"],
        instead: "take a cardea_domain::Clock",
    },
    Reserved {
        texts: &["rand::", "OsRng", "getrandom", "SystemRandom"],
        places: &["crates/cardea-vault/", "crates/cardea-ssh/src/key", "crates/cardea-testkit/"],
        instead: "take a cardea_domain::Entropy",
    },
    Reserved {
        texts: &["env::var"],
        places: &["crates/cardea-server/src/", "crates/cardea-testkit/", "xtask/"],
        instead: "configuration is read once, in cardea-server's config; take it as an argument",
    },
    Reserved {
        texts: &["Conn::Sqlite", "Conn::Postgres"],
        places: &["crates/cardea-store/src/"],
        instead: "only the store knows which database is behind it",
    },
    Reserved {
        texts: &["std::process::Command", "process::Command::new"],
        places: &["crates/cardea-testkit/", "xtask/", "crates/cardea-server/benches/"],
        instead: "the product runs no programs; work on targets goes through a connector",
    },
];

/// Where SQL may stand.
const SQL_PLACES: &[&str] =
    &["crates/cardea-store/", "crates/cardea-testkit/src/history.rs", "crates/cardea-testkit/src/postgres.rs"];

/// Files of the store that may tell the databases apart: each one's own, the statement macros, and the dialect.
const DIALECT: &[&str] = &[
    "crates/cardea-store/src/dialect.rs",
    "crates/cardea-store/src/postgres.rs",
    "crates/cardea-store/src/sqlite.rs",
    "crates/cardea-store/src/tx.rs",
];

/// Checks sources.
pub(super) fn check(files: &[File]) -> Findings {
    let mut findings = Findings::new();
    for file in files {
        findings.extend(length(file));
        findings.extend(unfinished(file));
        if file.path.ends_with(".rs") && !is_tidy_itself(file) {
            findings.extend(reserved(file));
            findings.extend(sql(file));
            findings.extend(dialect(file));
        }
        if file.path.ends_with("Cargo.toml") {
            findings.extend(lints(file));
        }
    }
    findings.extend(needless_exceptions(files));
    findings.extend(migrations(files));
    findings
}

fn length(file: &File) -> Findings {
    let lines = file.text.lines().count();
    let exempt =
        GENERATED.iter().any(|name| file.path.ends_with(name)) || LONG.iter().any(|(path, _)| *path == file.path);
    if lines > LINES_MAX && !exempt {
        return vec![format!("{}: {lines} lines: split it at {LINES_MAX}, by noun", file.path)];
    }
    Findings::new()
}

fn needless_exceptions(files: &[File]) -> Findings {
    LONG.iter()
        .filter(|(path, _)| !files.iter().any(|file| file.path == *path && file.text.lines().count() > LINES_MAX))
        .map(|(path, _)| format!("{path}: needs no exception for its length any more: take it out of tidy"))
        .collect()
}

/// Nothing is left for later without a number, and no test is switched off.
fn unfinished(file: &File) -> Findings {
    const SWITCHED_OFF: [&str; 6] = ["#[ignore", "it.skip(", "test.skip(", "describe.skip(", "it.only(", "test.only("];
    let is_code = [".rs", ".ts", ".tsx", ".mjs"].iter().any(|end| file.path.ends_with(end));
    if !is_code || is_tidy_itself(file) {
        return Findings::new();
    }
    lines(file)
        .filter_map(|(number, line)| {
            if line.contains("TODO") || line.contains("FIXME") {
                return Some(format!("{}:{number}: finish it, or open an issue and leave it out", file.path));
            }
            let off = SWITCHED_OFF.iter().find(|text| line.contains(**text))?;
            Some(format!("{}:{number}: `{off}` switches a test off: mend it or remove it", file.path))
        })
        .collect()
}

fn reserved(file: &File) -> Findings {
    let mut findings = Findings::new();
    for rule in RESERVED.iter().filter(|rule| !stands_in(file, rule.places) && !is_test(file)) {
        for (number, line) in product_lines(file) {
            if let Some(text) = rule.texts.iter().find(|text| has_word(line, text)) {
                findings.push(format!("{}:{number}: `{text}` may not stand here: {}", file.path, rule.instead));
            }
        }
    }
    findings
}

/// SQL in a string, by how statements begin.
fn sql(file: &File) -> Findings {
    const BEGINNINGS: [&str; 6] =
        ["\"select ", "\"insert into ", "\"delete from ", "\"create table ", "\"alter table ", "\"pragma "];
    if stands_in(file, SQL_PLACES) {
        return Findings::new();
    }
    lines(file)
        .filter(|(_, line)| {
            let line = line.to_lowercase();
            let update = line.split_once("\"update ").is_some_and(|(_, rest)| rest.contains(" set "));
            update || BEGINNINGS.iter().any(|beginning| line.contains(beginning))
        })
        .map(|(number, _)| format!("{}:{number}: SQL belongs in cardea-store", file.path))
        .collect()
}

/// Inside the store, few files know the databases apart; everything else is written once.
fn dialect(file: &File) -> Findings {
    if !file.path.starts_with("crates/cardea-store/src/") || stands_in(file, DIALECT) {
        return Findings::new();
    }
    product_lines(file)
        .filter(|(_, line)| line.contains("Conn::Sqlite") || line.contains("Conn::Postgres"))
        .map(|(number, _)| format!("{}:{number}: only the dialect may tell the databases apart", file.path))
        .collect()
}

/// Each crate takes the workspace's lints, which forbid unsafe code among other things.
fn lints(file: &File) -> Findings {
    let is_workspace = file.text.contains("[workspace]");
    if is_workspace || file.text.contains("[lints]\nworkspace = true") {
        return Findings::new();
    }
    vec![format!("{}: write `[lints]` and `workspace = true`", file.path)]
}

/// The same migrations, by number and name, for both databases.
fn migrations(files: &[File]) -> Findings {
    const FOLDERS: [&str; 2] = ["crates/cardea-store/migrations/sqlite/", "crates/cardea-store/migrations/postgres/"];
    let names =
        |folder: &str| -> Vec<&str> { files.iter().filter_map(|file| file.path.strip_prefix(folder)).collect() };
    let (sqlite, postgres) = (names(FOLDERS[0]), names(FOLDERS[1]));
    let alone = |ours: &[&str], theirs: &[&str], folder: &str| -> Findings {
        ours.iter()
            .filter(|name| !theirs.contains(name))
            .map(|name| format!("{folder}{name}: has no twin for the other database"))
            .collect()
    };
    let mut findings = alone(&sqlite, &postgres, FOLDERS[0]);
    findings.extend(alone(&postgres, &sqlite, FOLDERS[1]));
    findings
}

/// Each fork in `vendor/` says what was changed and why.
pub(super) fn forks(files: &[File]) -> Findings {
    let mut folders: Vec<&str> = files
        .iter()
        .filter_map(|file| file.path.strip_prefix("vendor/")?.split('/').next())
        .filter(|folder| !files.iter().any(|file| file.path == format!("vendor/{folder}/PATCHES.md")))
        .collect();
    folders.dedup();
    folders.into_iter().map(|folder| format!("vendor/{folder}: say in PATCHES.md what was changed, and why")).collect()
}

fn lines(file: &File) -> impl Iterator<Item = (usize, &str)> {
    file.text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// The lines before the tests of a file, without comments.
fn product_lines(file: &File) -> impl Iterator<Item = (usize, &str)> {
    lines(file).take_while(|(_, line)| line.trim() != "#[cfg(test)]").filter(|(_, line)| !line.trim().starts_with("//"))
}

fn stands_in(file: &File, places: &[&str]) -> bool {
    places.iter().any(|place| file.path.starts_with(place))
}

fn is_test(file: &File) -> bool {
    file.path.contains("/tests/") || file.path.ends_with("/tests.rs")
}

/// The rules name what they forbid.
fn is_tidy_itself(file: &File) -> bool {
    file.path.starts_with("xtask/src/tidy")
}

/// Whether the text stands there and is not the end of a longer name.
fn has_word(line: &str, text: &str) -> bool {
    line.match_indices(text).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::{super::file, *};

    const APP: &str = "crates/cardea-app/src/session.rs";

    #[test]
    fn long_files_are_found_and_generated_ones_are_not() {
        let text = "x\n".repeat(LINES_MAX + 1);
        assert_eq!(length(&file(APP, &text)).len(), 1);
        assert_eq!(length(&file("docs/openapi.json", &text)), Findings::new());
        assert_eq!(length(&file(APP, &"x\n".repeat(LINES_MAX))), Findings::new());
    }

    #[test]
    fn the_wall_clock_and_randomness_are_found_in_logic() {
        assert_eq!(check(&[file(APP, "let now = SystemTime::now();")]).len(), 1);
        assert_eq!(check(&[file(APP, "let now = jiff::Timestamp::now();")]).len(), 1);
        assert_eq!(check(&[file(APP, "let x: u8 = rand::random();")]).len(), 1);
        assert_eq!(check(&[file(APP, "let x = operand::random(); // SystemTime::now is elsewhere")]).len(), 1);
        assert_eq!(
            check(&[file(APP, "// SystemTime::now is elsewhere\n#[cfg(test)]\nSystemTime::now()")]),
            Findings::new()
        );
        assert_eq!(check(&[file("crates/cardea-server/src/clock.rs", "SystemTime::now()")]), Findings::new());
    }

    #[test]
    fn the_environment_is_read_by_the_server_only() {
        assert_eq!(check(&[file(APP, "std::env::var(\"HOME\")")]).len(), 1);
        assert_eq!(check(&[file("crates/cardea-server/src/config.rs", "std::env::var(\"X\")")]), Findings::new());
    }

    #[test]
    fn sql_outside_the_store_is_found() {
        assert_eq!(check(&[file(APP, "const ALL: &str = \"select * from session\";")]).len(), 1);
        assert_eq!(check(&[file(APP, "let text = \"UPDATE session SET state = 1\";")]).len(), 1);
        assert_eq!(check(&[file(APP, "let text = \"update the resource first\";")]), Findings::new());
        assert_eq!(check(&[file("crates/cardea-store/src/session.rs", "\"select * from session\"")]), Findings::new());
    }

    #[test]
    fn the_store_tells_databases_apart_in_its_dialect_only() {
        let text = "match &mut self.conn { Conn::Sqlite(c) => {} Conn::Postgres(c) => {} }";
        assert_eq!(check(&[file("crates/cardea-store/src/session.rs", text)]).len(), 1);
        assert_eq!(check(&[file("crates/cardea-store/src/dialect.rs", text)]), Findings::new());
    }

    #[test]
    fn unfinished_work_and_switched_off_tests_are_found() {
        assert_eq!(check(&[file(APP, "// TODO: the rest")]).len(), 1);
        assert_eq!(check(&[file(APP, "#[ignore]\nfn slow() {}")]).len(), 1);
        assert_eq!(check(&[file("web/src/a.test.ts", "it.skip('x', () => {})")]).len(), 1);
    }

    #[test]
    fn a_crate_without_the_lints_is_found() {
        assert_eq!(check(&[file("crates/x/Cargo.toml", "[package]\nname = \"x\"\n")]).len(), 1);
        assert_eq!(check(&[file("crates/x/Cargo.toml", "[lints]\nworkspace = true\n")]), Findings::new());
    }

    #[test]
    fn a_fork_that_does_not_say_what_it_changed_is_found() {
        assert_eq!(forks(&[file("vendor/x/Cargo.toml", ""), file("vendor/x/README.md", "")]).len(), 1);
        assert_eq!(forks(&[file("vendor/x/Cargo.toml", ""), file("vendor/x/PATCHES.md", "")]), Findings::new());
    }

    #[test]
    fn a_migration_without_its_twin_is_found() {
        let one = file("crates/cardea-store/migrations/sqlite/0001_start.sql", "");
        let two = file("crates/cardea-store/migrations/postgres/0001_start.sql", "");
        let odd = file("crates/cardea-store/migrations/postgres/0002_more.sql", "");
        assert_eq!(check(&[one.clone(), two.clone()]), Findings::new());
        assert_eq!(check(&[one, two, odd]).len(), 1);
    }
}
