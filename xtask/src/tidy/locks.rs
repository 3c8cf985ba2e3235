//! What the lock files may hold.

use super::{File, Findings};

/// Crates that may not enter the tree: a second cryptography provider panics at run time beside the first, and a system
/// library would have to be installed.
const UNWANTED: &[&str] = &["native-tls", "openssl-sys", "ring"];
const CRATES_REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";
const NPM_REGISTRY: &str = "https://registry.npmjs.org/";

/// Checks each lock file.
pub(super) fn check(files: &[File]) -> Findings {
    let mut findings = Findings::new();
    for file in files {
        if file.path == "Cargo.lock" {
            findings.extend(cargo(file));
        } else if file.path.ends_with("package-lock.json") {
            findings.extend(npm(file));
        }
    }
    findings
}

fn cargo(file: &File) -> Findings {
    let mut findings = Findings::new();
    for (key, value) in file.text.lines().filter_map(|line| line.split_once(" = ")) {
        let value = value.trim_matches('"');
        if key == "name" && UNWANTED.contains(&value) {
            findings.push(format!("{}: {value} may not enter the tree: see `cargo tree -i {value}`", file.path));
        }
        if key == "source" && value != CRATES_REGISTRY {
            findings.push(format!("{}: {value} is not crates.io", file.path));
        }
    }
    findings
}

fn npm(file: &File) -> Findings {
    file.text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("\"resolved\": \""))
        .filter(|url| !url.starts_with(NPM_REGISTRY))
        .map(|url| {
            format!(
                "{}: {} is not the public registry: remove the `resolved` line",
                file.path,
                url.trim_end_matches(['"', ','])
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::file, *};

    #[test]
    fn a_second_cryptography_provider_is_found() {
        let lock = file("Cargo.lock", "[[package]]\nname = \"ring\"\nversion = \"0.17.14\"\n");
        assert_eq!(check(&[lock]).len(), 1);
        let lock = file("Cargo.lock", "[[package]]\nname = \"string\"\n");
        assert_eq!(check(&[lock]), Findings::new());
    }

    #[test]
    fn other_sources_are_found() {
        let lock = file("Cargo.lock", "name = \"x\"\nsource = \"git+https://example.com/x\"\n");
        assert_eq!(check(&[lock]).len(), 1);
        let lock = file("web/package-lock.json", "\"resolved\": \"https://mirror.example.com/x.tgz\",\n");
        assert_eq!(check(&[lock]).len(), 1);
        let lock = file("web/package-lock.json", "\"resolved\": \"https://registry.npmjs.org/x.tgz\",\n");
        assert_eq!(check(&[lock]), Findings::new());
    }
}
