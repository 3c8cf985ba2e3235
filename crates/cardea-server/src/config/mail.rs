//! `[mail]`: by which server mail goes out, and what it says. No mail is sent unless it is set.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use cardea_app::Templates;
use cardea_courier::{Login, MailServer, Security, is_sender};
use cardea_domain::{NoticeKind, Secret};
use serde::Deserialize;
use serde_json::{Value, json};

use super::read_pem;
use crate::{documents::read_secret, failure::Failure};

/// More than any template may have: that is found out by its reader.
const TEMPLATE_BYTES_MAX: u64 = 64 << 10;
/// What a template's file is called behind the kind of notice.
const EXTENSION: &str = "txt";

/// How the line to the server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    None,
    #[default]
    Starttls,
    Tls,
}

impl Line {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Starttls => "starttls",
            Self::Tls => "tls",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::None => 25,
            Self::Starttls => 587,
            Self::Tls => 465,
        }
    }

    fn security(self) -> Security {
        match self {
            Self::None => Security::None,
            Self::Starttls => Security::StartTls,
            Self::Tls => Security::Tls,
        }
    }
}

/// The server, who Cardea is there, and the texts.
pub(crate) struct Mail {
    host: String,
    port: u16,
    line: Line,
    ca_file: Option<PathBuf>,
    ca: Option<Vec<u8>>,
    login: Option<(String, PathBuf, Secret)>,
    from: String,
    folder: Option<PathBuf>,
    pub(crate) templates: Templates,
    /// Templates that were refused: file, line and why. The built-in ones are used in their place.
    pub(crate) refused: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Layer {
    server: Option<String>,
    security: Option<Line>,
    ca_file: Option<PathBuf>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    from: Option<String>,
    templates: Option<PathBuf>,
}

impl Layer {
    pub(super) fn over(self, under: Self) -> Self {
        Self {
            server: self.server.or(under.server),
            security: self.security.or(under.security),
            ca_file: self.ca_file.or(under.ca_file),
            user: self.user.or(under.user),
            password_file: self.password_file.or(under.password_file),
            from: self.from.or(under.from),
            templates: self.templates.or(under.templates),
        }
    }

    fn is_empty(&self) -> bool {
        let Self { server, security, ca_file, user, password_file, from, templates } = self;
        let texts = [server.is_some(), security.is_some(), user.is_some(), from.is_some()];
        let files = [ca_file.is_some(), password_file.is_some(), templates.is_some()];
        !texts.contains(&true) && !files.contains(&true)
    }

    pub(super) fn resolve(self) -> Result<Option<Mail>, Failure> {
        if self.is_empty() {
            return Ok(None);
        }
        let line = self.security.unwrap_or_default();
        let server =
            self.server.ok_or_else(|| wrong("server is missing: write the mail server's name, as smtp.example.com"))?;
        let (host, port) = host_and_port(&server, line).ok_or_else(|| {
            wrong(&format!("server: `{server}` is no server: write it as smtp.example.com or smtp.example.com:587"))
        })?;
        let from = self
            .from
            .ok_or_else(|| wrong("from is missing: write from whom mail is, as Cardea <cardea@example.com>"))?;
        if !is_sender(&from) {
            return Err(wrong("from: write one address, as Cardea <cardea@example.com>"));
        }
        let login = match (self.user, self.password_file) {
            (None, None) => None,
            (Some(_), Some(_)) if line == Line::None => {
                return Err(wrong("security is none: a password is sent by an encrypted line only"));
            }
            (Some(user), Some(file)) => {
                let password = read_secret(&file).map_err(|error| wrong(&format!("password_file: {error}")))?;
                Some((user, file, password))
            }
            (Some(_), None) => return Err(wrong("password_file is missing, and mail.user is given")),
            (None, Some(_)) => return Err(wrong("user is missing, and mail.password_file is given")),
        };
        let ca =
            self.ca_file.as_deref().map(read_pem).transpose().map_err(|error| wrong(&format!("ca_file: {error}")))?;
        let (templates, refused) = templates(self.templates.as_deref())?;
        let (ca_file, folder) = (self.ca_file, self.templates);
        Ok(Some(Mail { host, port, line, ca_file, ca, login, from, folder, templates, refused }))
    }
}

impl Mail {
    /// The server as the courier takes it.
    pub(crate) fn server(&self) -> MailServer {
        let login = |(user, _, password): &(String, PathBuf, Secret)| Login {
            user: user.clone(),
            password: Secret::new(password.expose(Clone::clone)),
        };
        MailServer {
            host: self.host.clone(),
            port: self.port,
            security: self.line.security(),
            ca: self.ca.clone(),
            login: self.login.as_ref().map(login),
            from: self.from.clone(),
        }
    }

    pub(super) fn shown(&self) -> Value {
        let mut shown = json!({
            "server": format!("{}:{}", self.host, self.port), "security": self.line.as_str(), "from": self.from,
        });
        if let Some(file) = &self.ca_file {
            shown["ca_file"] = json!(file);
        }
        if let Some((user, file, _)) = &self.login {
            shown["user"] = json!(user);
            shown["password_file"] = json!(file);
        }
        if let Some(folder) = &self.folder {
            shown["templates"] = json!(folder);
            shown["refused_templates"] = json!(self.refused);
        }
        shown
    }
}

fn wrong(what: &str) -> Failure {
    Failure::Configuration(format!("mail.{what}"))
}

fn host_and_port(text: &str, line: Line) -> Option<(String, u16)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0)?),
        None => (text, line.port()),
    };
    let is_host = !host.is_empty()
        && host.len() <= 253
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    is_host.then(|| (host.to_owned(), port))
}

/// The texts, with an operator's own over those that are built in. Whatever is wrong with a text costs only that text.
fn templates(folder: Option<&Path>) -> Result<(Templates, Vec<String>), Failure> {
    let (mut templates, mut refused) = (Templates::built_in(), Vec::new());
    let Some(folder) = folder else { return Ok((templates, refused)) };
    let unreadable = |error: std::io::Error| wrong(&format!("templates: cannot read `{}`: {error}", folder.display()));
    let mut files = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>())
        .map_err(unreadable)?;
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == EXTENSION)) {
        let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let taken = match name.parse::<NoticeKind>() {
            Err(error) => Err(error),
            Ok(kind) => match read(file) {
                Err(error) => Err(format!("cannot be read: {error}")),
                Ok(text) => match templates.replace(kind, &text) {
                    Ok(()) => Ok(()),
                    Err(fault) => {
                        refused.push(format!("{}:{}: {}", file.display(), fault.line, fault.message));
                        continue;
                    }
                },
            },
        };
        if let Err(error) = taken {
            refused.push(format!("{}: {error}", file.display()));
        }
    }
    Ok((templates, refused))
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(TEMPLATE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}
