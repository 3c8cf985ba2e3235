//! This node's name: made once for a data directory and kept in it, so that it is the same after a restart. Nodes that share a
//! database know each other by it, and a host that an older shell is this node's own.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
};

use cardea_domain::Entropy;
use cardea_vault::System;

use crate::{data_dir::DataDir, failure::Failure};

const FILE: &str = "node";
const NAME_MAX: usize = 48;
/// How much of the machine's own name goes into it.
const HOST_MAX: usize = 32;

/// The name in the data directory; made if there is none.
pub(crate) fn ensure(data: &DataDir) -> Result<String, Failure> {
    let path = data.path().join(FILE);
    if path.exists() {
        return known(data.path()).ok_or_else(|| {
            let shown = path.display();
            Failure::No(format!(
                "`{shown}` holds no name of a node: write 1 to {NAME_MAX} of `a-z0-9-` into it, and no other node's"
            ))
        });
    }
    let mut bytes = [0; 4];
    System.fill(&mut bytes);
    let random: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{}-{random}", host());
    data.write(FILE, &format!("{name}\n"))?;
    tracing::info!(node = %name, "Named this node");
    Ok(name)
}

/// The name of a data directory, if it has one.
pub(crate) fn known(data_dir: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(data_dir.join(FILE)).ok()?.take(256).read_to_string(&mut text).ok()?;
    let name = text.trim();
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (!name.is_empty() && name.len() <= NAME_MAX && name.chars().all(is_name)).then(|| name.to_owned())
}

/// The machine's name, as far as it is letters and digits.
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().to_lowercase();
    let plain: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(HOST_MAX).collect();
    if plain.is_empty() { "node".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_data_directory_keeps_its_name_and_no_other_has_it() {
        let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
        let names = folders.each_ref().map(|folder| {
            DataDir::create(folder.path()).unwrap();
            assert_eq!(known(folder.path()), None);
            let data = DataDir::try_lock(folder.path()).unwrap().unwrap();
            let name = ensure(&data).unwrap();
            assert_eq!((ensure(&data).unwrap(), known(folder.path())), (name.clone(), Some(name.clone())));
            name
        });
        assert_ne!(names[0], names[1]);
        fs::write(folders[0].path().join(FILE), "../x\n").unwrap();
        let data = DataDir::try_lock(folders[0].path()).unwrap().unwrap();
        assert!(ensure(&data).unwrap_err().to_string().contains("no name of a node"));
    }
}
