//! Years of sessions in a minute: one session's own rows, written again and again by the database itself. For benchmarks.
//!
//! What is repeated went through the product once, so a copy is what the product writes; columns are read from the
//! database, so a new one is copied too.

use std::{path::Path, process::Command};

use crate::postgres::{Postgres, fed};

/// Where a store's data is.
#[derive(Clone, Copy)]
pub enum Database<'a> {
    /// The database of this address on this server.
    Postgres(&'a Postgres, &'a str),
    /// The file. No process may have it open.
    Sqlite(&'a Path),
}

/// The tables that hold a session, with the column that says whose row it is.
const TABLES: [(&str, &str); 5] = [
    ("session", "id"),
    ("grant_entry", "session_id"),
    ("session_log", "session_id"),
    ("connection", "session_id"),
    ("audit", "subject"),
];
/// Ids of copies: the original's time and the beginning of its randomness, then the copy's number.
const COPY_ID: &str = "substr({column}, 1, 20) || substr(cast(10000000000 + n as text), 2)";
/// Copies were requested one second after the other, the last one a second before the original.
const COPY_TIME: &str = "{column} - (1 + {times} - n) * 1000000";

/// Writes so many copies of a session, with its grants, log, connections and audit entries, as if each had been requested
/// a second after the one before.
///
/// # Panics
/// If the database's client (`sqlite3`, `psql`) is not installed, or refuses.
pub fn repeat_session(database: Database<'_>, session: &str, times: u32) {
    let copies = TABLES.map(|(table, owner)| copy(table, owner, &columns(database, table), session, times)).concat();
    match database {
        // Nobody reads it until it is written, so neither a journal nor the order of writes matters.
        Database::Sqlite(_) => database.run(&format!(
            "pragma journal_mode = off;\npragma synchronous = off;\npragma cache_size = -400000;\nbegin;\n{copies}commit;\n"
        )),
        // The copies are as consistent as their original. Autovacuum would come by within a minute or so.
        Database::Postgres(..) => database.run(&format!(
            "set session_replication_role = replica;\nbegin;\n{copies}commit;\nvacuum analyze;\ncheckpoint;\n"
        )),
    };
}

impl Database<'_> {
    fn run(self, script: &str) -> String {
        match self {
            Self::Postgres(server, address) => server.run(address, script),
            Self::Sqlite(path) => fed(Command::new("sqlite3").arg("-bail").arg(path), script),
        }
    }
}

/// The names of a table's columns, but for those that the database works out by itself.
fn columns(database: Database<'_>, table: &str) -> Vec<String> {
    let script = match database {
        Database::Postgres(..) => {
            format!(
                "select column_name from information_schema.columns where table_name = '{table}' \
                and is_generated = 'NEVER';\n"
            )
        }
        Database::Sqlite(_) => format!("select name from pragma_table_info('{table}');\n"),
    };
    database.run(&script).lines().map(str::to_owned).collect()
}

/// The statements that copy what one table holds of a session.
fn copy(table: &str, owner: &str, columns: &[String], session: &str, times: u32) -> String {
    let value = |column: &String| {
        let form = match column.as_str() {
            "requested_at" => COPY_TIME,
            name if name == owner || name == "id" || name == "request_id" => COPY_ID,
            _ => "{column}",
        };
        form.replace("{column}", column).replace("{times}", &times.to_string())
    };
    let values: Vec<_> = columns.iter().map(value).collect();
    format!(
        "create temporary table one_{table} as select * from {table} where {owner} = '{session}';\n\
         insert into {table} ({})\n\
         with recursive number (n) as (select cast(1 as bigint) union all select n + 1 from number where n < {times})\n\
         select {} from number cross join one_{table};\n",
        columns.join(", "),
        values.join(", ")
    )
}
