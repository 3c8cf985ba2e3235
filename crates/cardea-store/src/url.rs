//! Where the data is.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use sqlx::postgres::PgConnectOptions;

use crate::StoreError;

/// Where the data is. No Debug: a PostgreSQL address may hold a password. Display leaves it out.
#[derive(Clone)]
pub enum StoreUrl {
    /// `postgres://user:password@host:port/database`, with the parameters that libpq knows.
    Postgres(String),
    /// A file. Its folder must exist.
    Sqlite(PathBuf),
}

impl StoreUrl {
    /// Reads `sqlite:FILE` (relative to `data_dir`) or `postgres://…`.
    ///
    /// # Errors
    /// [`StoreError::BadUrl`], which never repeats the text: it may hold a password.
    pub fn parse(text: &str, data_dir: &Path) -> Result<Self, StoreError> {
        if let Some(rest) = text.strip_prefix("sqlite:") {
            let file = rest.strip_prefix("//").unwrap_or(rest);
            if file.is_empty() || file.starts_with(':') || file.ends_with('/') || file.contains(['?', '\0']) {
                return Err(StoreError::BadUrl("write the file's name, `sqlite:cardea.db`"));
            }
            return Ok(Self::Sqlite(data_dir.join(file)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let options = options(text)?;
            if options.get_database().is_none_or(str::is_empty) {
                return Err(StoreError::BadUrl("name the database: postgres://user@host/DATABASE"));
            }
            return Ok(Self::Postgres(text.to_owned()));
        }
        Err(StoreError::BadUrl("write `sqlite:cardea.db` or `postgres://user:password@host/database`"))
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(text) => {
                let Ok(options) = options(text) else { return f.write_str("postgres://") };
                let database = options.get_database().unwrap_or_default();
                match options.get_socket() {
                    Some(socket) => {
                        write!(f, "postgres://{}@/{database}?host={}", options.get_username(), socket.display())
                    }
                    None => write!(
                        f,
                        "postgres://{}@{}:{}/{database}",
                        options.get_username(),
                        options.get_host(),
                        options.get_port()
                    ),
                }
            }
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
        }
    }
}

/// Reads a PostgreSQL address.
pub(crate) fn options(text: &str) -> Result<PgConnectOptions, StoreError> {
    PgConnectOptions::from_str(text)
        .map_err(|_| StoreError::BadUrl("write the address as postgres://user:password@host:port/database"))
}
