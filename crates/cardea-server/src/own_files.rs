//! Where the command line keeps what belongs to the person who uses it: tokens and keys, each for one server, for their eyes only.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use cardea_domain::Secret;
use reqwest::Url;

use crate::{config::Environment, failure::Failure};

/// The file in `kind` (`tokens`, `keys`) for a server. None if the environment names no home, or that is no server.
pub(crate) fn of_server(environment: &Environment, kind: &str, server: &str) -> Option<PathBuf> {
    let set = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let folder = match set("XDG_CONFIG_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(set("HOME")?).join(".config"),
    };
    let url = Url::parse(server).ok()?;
    let host = url.host_str()?.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-', "_");
    Some(folder.join("cardea").join(kind).join(format!("{host}_{}", url.port_or_known_default()?)))
}

/// Writes a file that only its owner reads, in the place of what was there.
pub(crate) fn write(path: &Path, content: &Secret) -> Result<(), Failure> {
    let failed = |error| Failure::file("write", path, &error);
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).and_then(|mut file| {
        content.expose(|text| file.write_all(text.as_bytes()))?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&draft, path)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_has_a_file_of_its_own_below_the_persons_home() {
        let environment: Environment = [("HOME".to_owned(), "/home/alice".to_owned())].into();
        let file = |server| of_server(&environment, "tokens", server).map(|path| path.display().to_string());
        assert_eq!(
            file("https://cardea.example.com:8443").as_deref(),
            Some("/home/alice/.config/cardea/tokens/cardea.example.com_8443")
        );
        assert_eq!(file("https://[::1]/x").as_deref(), Some("/home/alice/.config/cardea/tokens/___1__443"));
        assert_eq!((file("nonsense"), of_server(&Environment::new(), "tokens", "https://a")), (None, None));
    }
}
