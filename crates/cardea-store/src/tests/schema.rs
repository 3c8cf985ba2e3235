use std::{collections::BTreeSet, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use cardea_testkit::Postgres;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::time::timeout;

use super::*;
use crate::{
    dialect::UNIQUE_RULES,
    postgres::OWNER_LOCK,
    tx::{execute, fetch_all, fetch_one},
    url,
};

type Facts = BTreeSet<String>;

fn files(folder: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
    let entries = std::fs::read_dir(folder).expect("the migrations are there");
    entries.map(|entry| entry.expect("a readable folder").file_name().into_string().expect("UTF-8")).collect()
}

#[test]
fn migrations_come_in_pairs() {
    assert_eq!(files("sqlite"), files("postgres"));
    assert!(!files("sqlite").is_empty());
}

async fn facts(t: &Fixture, statements: [&'static str; 4]) -> [Facts; 4] {
    let mut found = Vec::new();
    for sql in statements {
        let rows = reads!(t, tx => fetch_all!((String,), tx, sql));
        found.push(rows.into_iter().map(|(fact,)| fact).collect::<Facts>());
    }
    found.try_into().expect("four answers to four questions")
}

const SQLITE_COLUMNS: &str = "select t.name || '.' || c.name || ' ' || lower(c.type) || case c.\"notnull\" when 1 then ' not null' else '' end \
    from sqlite_schema t, pragma_table_xinfo(t.name) c where t.type = 'table' and t.name not like '\\_%' escape '\\'";
const POSTGRES_COLUMNS: &str = "select table_name || '.' || column_name || ' ' || data_type || case is_nullable when 'NO' then ' not null' else '' end \
    from information_schema.columns where table_schema = 'public' and table_name not like '\\_%' escape '\\'";
const SQLITE_UNIQUE: &str = "select t.name || ' (' || (select group_concat(t.name || '.' || c.name, ', ') from (select name from pragma_index_info(i.name) order by seqno) c) || ')' \
    from sqlite_schema t, pragma_index_list(t.name) i \
    where t.type = 'table' and i.\"unique\" = 1 and t.name not like '\\_%' escape '\\'";
const POSTGRES_UNIQUE: &str = "select t.relname || ' (' || (select string_agg(t.relname || '.' || a.attname, ', ' order by k.n) \
    from unnest(i.indkey) with ordinality k(attnum, n) join pg_attribute a on a.attrelid = t.oid and a.attnum = k.attnum) || ')' \
    from pg_index i join pg_class t on t.oid = i.indrelid join pg_namespace s on s.oid = t.relnamespace \
    where s.nspname = 'public' and i.indisunique and t.relname not like '\\_%' escape '\\'";
const SQLITE_INDEXES: &str = "select i.name || ' on ' || t.name || ' (' || (select group_concat(c.name, ', ') from (select name from pragma_index_info(i.name) order by seqno) c) || ')' || case i.partial when 1 then ' partial' else '' end \
    from sqlite_schema t, pragma_index_list(t.name) i where t.type = 'table' and i.origin = 'c' and i.\"unique\" = 0";
const POSTGRES_INDEXES: &str = "select x.relname || ' on ' || t.relname || ' (' || (select string_agg(a.attname, ', ' order by k.n) \
    from unnest(i.indkey) with ordinality k(attnum, n) join pg_attribute a on a.attrelid = t.oid and a.attnum = k.attnum) || ')' \
    || case when i.indpred is not null then ' partial' else '' end \
    from pg_index i join pg_class t on t.oid = i.indrelid join pg_class x on x.oid = i.indexrelid \
    join pg_namespace s on s.oid = t.relnamespace where s.nspname = 'public' and not i.indisunique";
const SQLITE_REFERENCES: &str = "select t.name || '.' || f.\"from\" || ' -> ' || f.\"table\" || '.' || f.\"to\" || ' ' || lower(f.on_delete) \
    from sqlite_schema t, pragma_foreign_key_list(t.name) f where t.type = 'table'";
const POSTGRES_REFERENCES: &str = "select t.relname || '.' || a.attname || ' -> ' || r.relname || '.' || b.attname || ' ' || case c.confdeltype when 'c' then 'cascade' else 'no action' end \
    from pg_constraint c join pg_class t on t.oid = c.conrelid join pg_class r on r.oid = c.confrelid \
    join pg_attribute a on a.attrelid = t.oid and a.attnum = c.conkey[1] \
    join pg_attribute b on b.attrelid = r.oid and b.attnum = c.confkey[1] where c.contype = 'f'";

/// One word per type, and booleans by SQLite's name for them.
fn one_spelling(columns: &Facts) -> Facts {
    let words = [("bigint", "integer"), ("boolean", "integer"), ("bytea", "blob")];
    let spell = |fact: &String| {
        words.iter().fold(fact.clone(), |text, (from, to)| text.replace(&format!(" {from}"), &format!(" {to}")))
    };
    columns.iter().map(spell).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_schemas_say_the_same() {
    let (sqlite, postgres) = (Fixture::sqlite().await, Fixture::postgres().await);
    let sqlite = facts(&sqlite, [SQLITE_COLUMNS, SQLITE_UNIQUE, SQLITE_INDEXES, SQLITE_REFERENCES]).await;
    let postgres = facts(&postgres, [POSTGRES_COLUMNS, POSTGRES_UNIQUE, POSTGRES_INDEXES, POSTGRES_REFERENCES]).await;
    assert_eq!(one_spelling(&sqlite[0]), one_spelling(&postgres[0]));
    assert_eq!(sqlite[1..], postgres[1..]);
    assert!(sqlite.iter().all(|facts| facts.len() >= 4), "the questions find something");

    let known: Facts = UNIQUE_RULES.iter().map(|(_, columns, table, _)| format!("{table} ({columns})")).collect();
    assert_eq!(sqlite[1], known, "each unique rule has a name for people");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_unique_rule_has_its_name_on_postgres() {
    let t = Fixture::postgres().await;
    // Of a constraint the index has the same name.
    let sql = "select x.relname::text from pg_index i join pg_class x on x.oid = i.indexrelid \
        join pg_namespace s on s.oid = x.relnamespace \
        where s.nspname = 'public' and i.indisunique and x.relname not like '\\_%' escape '\\'";
    let there: Facts = reads!(t, tx => fetch_all!((String,), tx, sql)).into_iter().map(|(name,)| name).collect();
    let known: Facts = UNIQUE_RULES.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(there, known);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_at_once_open_a_fresh_file() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = StoreUrl::Sqlite(folder.path().join("cardea.db"));
        let opening: Vec<_> = (0..8)
            .map(|_| {
                let url = url.clone();
                tokio::spawn(async move { Store::open(&url).await })
            })
            .collect();
        for store in opening {
            let store = store.await.expect("no panic").expect("each of them opens it");
            store.read(|tx| Box::pin(async move { tx.objects().await })).await.expect("and reads");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_its_owners_alone() {
    let t = Fixture::sqlite().await;
    t.session(|_| ()).await;
    let StoreUrl::Sqlite(path) = &t.url else { unreachable!("the fixture is SQLite's") };
    let folder = std::fs::read_dir(path.parent().expect("a folder")).expect("a readable folder");
    for entry in folder {
        let entry = entry.expect("a readable folder");
        let mode = entry.metadata().expect("a file").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = StoreUrl::parse("sqlite:none/cardea.db", folder.path()).expect("an address");
    let error = Store::open(&url).await.err().expect("there is no such folder");
    assert!(error.to_string().contains("none/cardea.db"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_share_a_postgres_database_and_no_two_are_one() {
    let t = Fixture::postgres().await;
    let one = Store::open_as(&t.url, "one").await.expect("the first");
    let again = Store::open_as(&t.url, "one").await;
    assert!(matches!(again, Err(StoreError::NodeInUse(node)) if node == "one"));
    Store::open_as(&t.url, "two").await.expect("another node").close().await;
    one.close().await;
    Store::open_as(&t.url, "one").await.expect("it is free again").close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_changes_the_schema_under_a_running_node() {
    let t = Fixture::postgres().await;
    // As if this version had one more migration than the node that runs.
    writes!(t, tx => execute!(tx, "delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)")).expect("a row less");
    assert!(matches!(Store::open(&t.url).await, Err(StoreError::InUse)));
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_at_once_open_a_fresh_database() {
    let url = StoreUrl::Postgres(Postgres::shared().fresh_database());
    let opening: Vec<_> = (0..8)
        .map(|n| {
            let url = url.clone();
            tokio::spawn(async move { Store::open_as(&url, &format!("n{n}")).await })
        })
        .collect();
    for store in opening {
        let store = store.await.expect("no panic").expect("each of them opens it");
        store.read(|tx| Box::pin(async move { tx.objects().await })).await.expect("and reads");
    }
}

fn postgres_address(url: &StoreUrl) -> &str {
    let StoreUrl::Postgres(address) = url else { unreachable!("the fixture is PostgreSQL's") };
    address
}

async fn outsider(t: &Fixture) -> PgConnection {
    let options = url::options(postgres_address(&t.url)).expect("an address");
    PgConnection::connect_with(&options).await.expect("the server answers")
}

/// Cuts connections as a restart of the server would.
async fn cut(t: &Fixture, which: &'static str) {
    let sql = AssertSqlSafe(format!("select pg_terminate_backend(pid) from {which}"));
    sqlx::query(sql).execute(&mut outsider(t).await).await.expect("a superuser may");
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_connections_are_made_anew() {
    let t = Fixture::postgres().await;
    let others = "pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    let session = t.session(|_| ()).await;
    cut(&t, others).await;
    let id = session.id;
    assert_eq!(reads!(t, tx => tx.session(id).await), Some(session));
    writes!(t, tx => tx.raise_fence(id).await).expect("a write");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_the_database_to_another_process_stops_writing() {
    let t = Fixture::postgres().await;
    let id = t.session(|_| ()).await.id;
    let node = Store::open_as(&t.url, "one").await.expect("the node");
    let mut other = outsider(&t).await;
    let taking_over = tokio::spawn(async move {
        let lock = sqlx::query("select pg_advisory_lock(hashtextextended('one', $1))").bind(OWNER_LOCK);
        lock.execute(&mut other).await.expect("it gets the lock in the end");
        other
    });
    let in_line = "select count(*) from pg_locks l join pg_database d on d.oid = l.database \
        where l.locktype = 'advisory' and not l.granted and d.datname = current_database()";
    let waits = async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while reads!(t, tx => fetch_one!((i64,), tx, in_line)) == (0,) {
            tick.tick().await;
        }
    };
    timeout(Duration::from_secs(30), waits).await.expect("the other process waits for the lock");
    cut(
        &t,
        "pg_locks l join pg_database d on d.oid = l.database \
        where l.locktype = 'advisory' and l.granted and d.datname = current_database()",
    )
    .await;
    let taken_over = taking_over.await.expect("no panic");
    let stopped = async {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        while !matches!(
            node.write(move |tx| Box::pin(async move { tx.raise_fence(id).await })).await,
            Err(StoreError::InUse)
        ) {
            tick.tick().await;
        }
    };
    timeout(Duration::from_secs(30), stopped).await.expect("the first process notices");
    drop(taken_over);
}

on_both! {
    async fn a_store_of_a_newer_version_is_refused(t: &Fixture) {
        let sql = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
            values (9999, 'from the future', true, $1, 0)";
        writes!(t, tx => execute!(tx, sql, &b"x"[..])).expect("a row of the future");
        t.store.close().await;
        assert!(matches!(Store::open(&t.url).await, Err(StoreError::Newer(9999))));
    }
}

#[test]
fn addresses_are_read_and_never_shown_with_their_password() {
    let folder = Path::new("/var/lib/cardea");
    let shown =
        |text: &str| StoreUrl::parse(text, folder).map(|url| url.to_string()).map_err(|error| error.to_string());
    assert_eq!(shown("sqlite:cardea.db").as_deref(), Ok("sqlite:/var/lib/cardea/cardea.db"));
    assert_eq!(shown("sqlite:///srv/x.db").as_deref(), Ok("sqlite:/srv/x.db"));
    assert_eq!(shown("postgres://u:hunter2@db:5433/cardea").as_deref(), Ok("postgres://u@db:5433/cardea"));
    for bad in ["", "cardea.db", "mysql://x/y", "sqlite:", "sqlite::memory:", "postgres://u:hunter2@db:x/cardea"] {
        let said = shown(bad).expect_err(bad);
        assert!(!said.contains("hunter2"), "{said}");
    }
}
