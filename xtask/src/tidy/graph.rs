//! Who may depend on whom.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Findings;

/// A crate of the workspace and what it names.
#[derive(Clone, Debug)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) dependencies: Vec<Dependency>,
}

/// A crate that another names.
#[derive(Clone, Debug)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// Needed by tests only.
    pub(super) for_tests: bool,
    /// A crate of this workspace.
    pub(super) ours: bool,
}

/// Each crate's level, and the crates of the workspace that it may name. A crate knows the levels below it and nothing
/// beside it; tests may look at everything below their crate, and at the test kit.
const LAYERS: &[(&str, u8, &[&str])] = &[
    ("cardea-domain", 0, &[]),
    ("cardea-connectors", 1, &["cardea-domain"]),
    ("cardea-courier", 1, &["cardea-domain"]),
    ("cardea-identity", 1, &["cardea-domain"]),
    ("cardea-ssh", 1, &["cardea-domain"]),
    ("cardea-store", 1, &["cardea-domain"]),
    ("cardea-testkit", 1, &["cardea-domain"]),
    ("cardea-vault", 1, &["cardea-domain"]),
    ("cardea-app", 2, &["cardea-domain", "cardea-store", "cardea-vault"]),
    ("cardea-http", 3, &["cardea-app", "cardea-domain"]),
    (
        "cardea-server",
        4,
        &[
            "cardea-app",
            "cardea-connectors",
            "cardea-courier",
            "cardea-domain",
            "cardea-http",
            "cardea-identity",
            "cardea-ssh",
            "cardea-store",
            "cardea-vault",
        ],
    ),
    ("xtask", 4, &[]),
];

/// Libraries that only these crates may name, tests included: the test kit builds what tests need.
const OWNERS: &[(&str, &[&str])] = &[
    ("anyhow", &["cardea-server", "xtask"]),
    ("argon2", &["cardea-app"]),
    ("aws-lc-rs", &["cardea-testkit", "cardea-vault"]),
    ("axum", &["cardea-http", "cardea-server"]),
    ("axum-server", &["cardea-server"]),
    ("clap", &["cardea-server"]),
    ("jsonwebtoken", &["cardea-identity"]),
    ("ldap3", &["cardea-identity"]),
    ("lettre", &["cardea-courier"]),
    ("rcgen", &["cardea-server", "cardea-testkit"]),
    ("reqwest", &["cardea-courier", "cardea-identity", "cardea-server"]),
    ("russh", &["cardea-connectors", "cardea-ssh", "cardea-testkit"]),
    ("rustls", &["cardea-identity", "cardea-server"]),
    ("sqlx", &["cardea-store", "cardea-testkit"]),
    ("ssh-key", &["cardea-vault"]),
    ("utoipa", &["cardea-http"]),
    ("webauthn-rs", &["cardea-vault"]),
];

/// Libraries that the domain may name: it has no input, no output and no runtime.
const DOMAIN: &[&str] = &[
    "async-trait",
    "data-encoding",
    "futures-core",
    "jiff",
    "schemars",
    "serde",
    "serde_json",
    "serde_path_to_error",
    "thiserror",
    "unicode-security",
    "zeroize",
];

/// Reads `cargo metadata`.
pub(super) fn read(metadata: &Value) -> Result<Vec<Crate>> {
    let packages = metadata["packages"].as_array().context("`cargo metadata` lists packages")?;
    packages
        .iter()
        .map(|package| {
            let name = package["name"].as_str().context("a package has a name")?.to_owned();
            let dependencies = package["dependencies"].as_array().context("a package has dependencies")?;
            let dependencies = dependencies
                .iter()
                .filter_map(|each| {
                    Some(Dependency {
                        name: each["name"].as_str()?.to_owned(),
                        for_tests: each["kind"] == "dev",
                        ours: each["path"].is_string(),
                    })
                })
                .collect();
            Ok(Crate { name, dependencies })
        })
        .collect()
}

/// Dependencies point down only.
pub(super) fn layers(crates: &[Crate]) -> Findings {
    let mut findings = Findings::new();
    for each in crates {
        let Some((_, level, allowed)) = LAYERS.iter().find(|(name, ..)| *name == each.name) else {
            findings.push(format!(
                "{}: a new crate: say in ARCHITECTURE.md why it is one (trust, weight or rebuilds), and give it a level \
                 in xtask/src/tidy/graph.rs",
                each.name
            ));
            continue;
        };
        for dependency in each.dependencies.iter().filter(|dependency| dependency.ours) {
            let name = dependency.name.as_str();
            let below = LAYERS.iter().any(|(other, height, _)| *other == name && height < level);
            let fits = if dependency.for_tests { below || name == "cardea-testkit" } else { allowed.contains(&name) };
            if !fits {
                findings.push(format!(
                    "{}: may not depend on {name}: a crate knows the levels below it and nothing beside it",
                    each.name
                ));
            }
        }
    }
    findings
}

/// Some libraries belong to some crates.
pub(super) fn owners(crates: &[Crate]) -> Findings {
    let mut findings = Findings::new();
    for each in crates {
        for dependency in each.dependencies.iter().filter(|dependency| !dependency.ours) {
            let name = dependency.name.as_str();
            let owners = OWNERS.iter().find(|(library, _)| *library == name).map(|(_, owners)| *owners);
            if owners.is_some_and(|owners| !owners.contains(&each.name.as_str())) {
                findings.push(format!(
                    "{}: may not name {name}, which belongs to {}",
                    each.name,
                    owners.unwrap_or_default().join(" and ")
                ));
            }
            if each.name == "cardea-domain" && !dependency.for_tests && !DOMAIN.contains(&name) {
                findings.push(format!("cardea-domain: may not name {name}: the domain does nothing but think"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, dependency: &str, for_tests: bool, ours: bool) -> Vec<Crate> {
        let dependencies = vec![Dependency { name: dependency.to_owned(), for_tests, ours }];
        vec![Crate { name: name.to_owned(), dependencies }]
    }

    #[test]
    fn a_crate_may_not_look_sideways_or_up() {
        assert_eq!(layers(&with("cardea-ssh", "cardea-vault", false, true)).len(), 1);
        assert_eq!(layers(&with("cardea-http", "cardea-store", false, true)).len(), 1);
        assert_eq!(layers(&with("cardea-domain", "cardea-app", false, true)).len(), 1);
        assert_eq!(layers(&with("cardea-app", "cardea-testkit", false, true)).len(), 1);
        assert_eq!(layers(&with("cardea-app", "cardea-store", false, true)), Findings::new());
    }

    #[test]
    fn tests_may_look_at_everything_below_and_at_the_test_kit() {
        assert_eq!(layers(&with("cardea-http", "cardea-store", true, true)), Findings::new());
        assert_eq!(layers(&with("cardea-ssh", "cardea-testkit", true, true)), Findings::new());
        assert_eq!(layers(&with("cardea-ssh", "cardea-app", true, true)).len(), 1);
    }

    #[test]
    fn an_unknown_crate_must_say_where_it_stands() {
        assert_eq!(layers(&with("cardea-rdp", "cardea-domain", false, true)).len(), 1);
    }

    #[test]
    fn libraries_stay_with_their_owners() {
        assert_eq!(owners(&with("cardea-app", "sqlx", false, false)).len(), 1);
        assert_eq!(owners(&with("cardea-app", "axum", true, false)).len(), 1);
        assert_eq!(owners(&with("cardea-http", "aws-lc-rs", false, false)).len(), 1);
        assert_eq!(owners(&with("cardea-store", "sqlx", false, false)), Findings::new());
    }

    #[test]
    fn the_domain_has_no_runtime() {
        assert_eq!(owners(&with("cardea-domain", "tokio", false, false)).len(), 1);
        assert_eq!(owners(&with("cardea-domain", "serde", false, false)), Findings::new());
    }

    #[test]
    fn metadata_is_read() {
        let metadata = serde_json::json!({"packages": [{"name": "cardea-app", "dependencies": [
            {"name": "cardea-store", "kind": null, "path": "/x"}, {"name": "serde", "kind": "dev"}]}]});
        let crates = read(&metadata).expect("well formed");
        assert!(crates[0].dependencies[0].ours && !crates[0].dependencies[0].for_tests);
        assert!(!crates[0].dependencies[1].ours && crates[0].dependencies[1].for_tests);
    }
}
