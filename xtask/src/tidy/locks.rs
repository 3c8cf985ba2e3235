//! What may be built in, and from where.

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

/// Looks for unwanted crates in the output of `cargo tree`. The lock file would not do: it also lists crates that no
/// chosen feature brings.
pub(super) fn unwanted(tree: &str) -> Findings {
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    let mut found: Vec<&str> = names.filter(|name| UNWANTED.contains(name)).collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|name| format!("{name} may not be built in: see `cargo tree -i {name}`")).collect()
}

fn cargo(file: &File) -> Findings {
    let mut findings = Findings::new();
    for (key, value) in file.text.lines().filter_map(|line| line.split_once(" = ")) {
        let value = value.trim_matches('"');
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
        assert_eq!(unwanted("rustls v0.23.46\nring v0.17.14\nring v0.17.14 (*)\n").len(), 1);
        assert_eq!(unwanted("string v1.0.0\nrustls v0.23.46\n"), Findings::new());
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
