//! What documents must say, and where their links may lead.

use super::{File, Findings, graph::Crate};

const ARCHITECTURE: &str = "ARCHITECTURE.md";
const ARCHITECTURE_LINES_MAX: usize = 150;
const DEPENDENCIES: &str = "docs/dependencies.md";

/// Checks documents against crates, packages and files, those of forks among them.
pub(super) fn check(files: &[File], foreign: &[File], crates: &[Crate]) -> Findings {
    let mut findings = architecture(files, crates);
    findings.extend(dependencies(files, crates));
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        findings.extend(links(file, &files.iter().chain(foreign).collect::<Vec<_>>()));
    }
    findings
}

/// The map is short and names every crate.
fn architecture(files: &[File], crates: &[Crate]) -> Findings {
    let Some(map) = files.iter().find(|file| file.path == ARCHITECTURE) else {
        return vec![format!("{ARCHITECTURE}: is missing")];
    };
    let mut findings: Findings = crates
        .iter()
        .filter(|each| !map.text.contains(&each.name))
        .map(|each| format!("{ARCHITECTURE}: does not name {}", each.name))
        .collect();
    if map.text.lines().count() > ARCHITECTURE_LINES_MAX {
        findings.push(format!("{ARCHITECTURE}: longer than {ARCHITECTURE_LINES_MAX} lines: move what is not map out"));
    }
    findings
}

/// Each library and package that the project names has a line that says what for.
fn dependencies(files: &[File], crates: &[Crate]) -> Findings {
    let listed = files.iter().find(|file| file.path == DEPENDENCIES).map_or("", |file| file.text.as_str());
    let rust =
        crates.iter().flat_map(|each| &each.dependencies).filter(|each| !each.ours).map(|each| each.name.clone());
    let npm = files.iter().filter(|file| file.path.ends_with("package.json")).flat_map(packages);
    let mut missing: Vec<String> = rust.chain(npm).filter(|name| !listed.contains(&format!("| `{name}` |"))).collect();
    missing.sort();
    missing.dedup();
    missing.into_iter().map(|name| format!("{DEPENDENCIES}: has no line `| `{name}` | …`")).collect()
}

fn packages(file: &File) -> Vec<String> {
    let Ok(manifest) = serde_json::from_str::<serde_json::Value>(&file.text) else { return Vec::new() };
    ["dependencies", "devDependencies"]
        .iter()
        .filter_map(|key| manifest[key].as_object())
        .flat_map(|list| list.keys().cloned())
        .collect()
}

/// A link to a file leads to one.
fn links(file: &File, files: &[&File]) -> Findings {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    targets(&file.text)
        .into_iter()
        .filter(|target| !target.contains("://") && !target.starts_with('#') && !target.starts_with("mailto:"))
        .filter_map(|target| {
            let path = join(folder, target.split('#').next().unwrap_or_default());
            let is_folder = || files.iter().any(|each| each.path.starts_with(&format!("{path}/")));
            let there = files.iter().any(|each| each.path == path) || is_folder();
            (!there).then(|| format!("{}: the link to {target} leads nowhere", file.path))
        })
        .collect()
}

/// What stands in `](…)`.
fn targets(text: &str) -> Vec<&str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect()
}

fn join(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::{super::file, *};
    use crate::tidy::graph::Dependency;

    fn server() -> Crate {
        let dependency = Dependency { name: "clap".to_owned(), for_tests: false, ours: false };
        Crate { name: "cardea-server".to_owned(), dependencies: vec![dependency] }
    }

    #[test]
    fn a_crate_that_the_map_does_not_name_is_found() {
        assert_eq!(architecture(&[file(ARCHITECTURE, "nothing")], &[server()]).len(), 1);
        assert_eq!(architecture(&[file(ARCHITECTURE, "cardea-server")], &[server()]), Findings::new());
        assert_eq!(architecture(&[], &[server()]).len(), 1);
        assert_eq!(architecture(&[file(ARCHITECTURE, &"line\n".repeat(151))], &[]).len(), 1);
    }

    #[test]
    fn a_dependency_without_a_line_is_found() {
        let manifest = file("web/package.json", "{\"dependencies\": {\"react\": \"19\"}}");
        assert_eq!(dependencies(std::slice::from_ref(&manifest), &[server()]).len(), 2);
        let list = file(DEPENDENCIES, "| `clap` | flags |\n| `react` | views |\n");
        assert_eq!(dependencies(&[manifest, list], &[server()]), Findings::new());
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let files = [file("docs/tour.md", "[a](../README.md) [b](gone.md) [c](https://example.com) [d](decisions)")];
        let there = [file("README.md", ""), file("docs/decisions/0001-x.md", "")];
        let all: Vec<&File> = files.iter().chain(&there).collect();
        assert_eq!(links(&files[0], &all), ["docs/tour.md: the link to gone.md leads nowhere"]);
    }
}
