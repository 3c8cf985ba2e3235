//! Lists of sessions: filtered, sorted, and read on from where the last page ended.
//!
//! The one place that puts SQL together, from constants only. A page starts behind the last row of the one before
//! (keyset), so rows that come or go in between neither repeat nor hide others.

use cardea_domain::{Approves, ObjectId, Session, SessionId, Status, Timestamp, fold};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;

use crate::{
    StoreError, Tx,
    row::{id_list, to_json},
    session::SessionRow,
    tx::fetch_all,
};

/// Search text beyond this many characters is not looked at.
const SEARCH_CHARS_MAX: usize = 1000;
/// Rows without a time sort as if they came last.
const NO_TIME: i64 = i64::MAX;

/// Which sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Those on the active list: under way, or waiting for somebody.
    Active,
    /// Those that wait for an approver.
    Approvals,
    /// Those that are over.
    History,
    /// Those that will begin at a time to come.
    Scheduled,
}

impl View {
    /// Whether sessions of this status belong to it.
    fn shows(self, status: Status) -> bool {
        match self {
            Self::Active => status != Status::Scheduled,
            Self::Approvals => status == Status::WaitingForApproval,
            Self::History => true,
            Self::Scheduled => status == Status::Scheduled,
        }
    }
}

/// What a list is sorted by; the id decides among equals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SortKey {
    Activity,
    EndAt,
    LoginAccount,
    RequestedAt,
    Resource,
    StartAt,
    Status,
    User,
}

/// Whose sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    Everybody,
    /// All but this user's.
    Others(ObjectId),
    User(ObjectId),
    /// This user's, and those within the area.
    Within(ObjectId, Area),
}

/// Sessions of these users, under these policies, on these resources; of all where there is no list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Area {
    pub users: Option<Vec<ObjectId>>,
    pub policies: Option<Vec<ObjectId>>,
    pub resources: Option<Vec<ObjectId>>,
}

impl Area {
    /// The lists as parameters.
    pub(crate) fn lists(&self) -> [Option<String>; 3] {
        [&self.users, &self.policies, &self.resources].map(|list| list.as_deref().map(id_list))
    }
}

impl Whose {
    /// The user whom it is about.
    pub(crate) fn user(&self) -> Option<String> {
        match self {
            Self::Everybody => None,
            Self::Others(user) | Self::User(user) | Self::Within(user, _) => Some(user.to_string()),
        }
    }

    /// The area as parameters; without one, those of everywhere.
    pub(crate) fn area(&self) -> [Option<String>; 3] {
        match self {
            Self::Within(_, area) => area.lists(),
            Self::Everybody | Self::Others(_) | Self::User(_) => [None, None, None],
        }
    }
}

/// What to list.
#[derive(Clone, Debug)]
pub struct SessionFilter {
    pub view: View,
    pub whose: Whose,
    /// Only those that somebody approves.
    pub approves: Option<Approves>,
    /// Part of any text that a table shows; empty for all. Upper and lower case are the same.
    pub q: String,
    /// Part of the resource's name; empty for all.
    pub resource: String,
    /// In one of these; empty for all.
    pub statuses: Vec<Status>,
    /// Requested then or later.
    pub requested_from: Option<Timestamp>,
    /// Requested before that.
    pub requested_before: Option<Timestamp>,
    pub sort: SortKey,
    pub descending: bool,
    /// At most so many.
    pub limit: u32,
    /// Behind this place.
    pub cursor: Option<Cursor>,
}

/// A place in a sorted list, behind one session. Opaque outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    sort: SortKey,
    descending: bool,
    value: SortValue,
    id: SessionId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum SortValue {
    Number(i64),
    Text(String),
}

impl SortKey {
    fn column(self) -> &'static str {
        match self {
            Self::Activity => "activity_fold",
            Self::EndAt => "coalesce(end_at, 9223372036854775807)",
            Self::LoginAccount => "account_name",
            Self::RequestedAt => "requested_at",
            Self::Resource => "resource_fold",
            Self::StartAt => "coalesce(start_at, 9223372036854775807)",
            Self::Status => "status",
            Self::User => "user_fold",
        }
    }

    fn value(self, session: &Session) -> SortValue {
        let time = |at: Option<Timestamp>| SortValue::Number(at.map_or(NO_TIME, |at| at.as_micros()));
        match self {
            Self::Activity => SortValue::Text(fold(&session.activity_name)),
            Self::EndAt => time(session.end_at),
            Self::LoginAccount => SortValue::Text(session.account.name.clone()),
            Self::RequestedAt => time(Some(session.requested_at)),
            Self::Resource => SortValue::Text(fold(&session.resource_name)),
            Self::StartAt => time(session.start_at),
            Self::Status => SortValue::Text(session.status.as_str().to_owned()),
            Self::User => SortValue::Text(fold(&session.user_name)),
        }
    }

    fn is_time(self) -> bool {
        matches!(self, Self::EndAt | Self::RequestedAt | Self::StartAt)
    }
}

impl Cursor {
    /// The place behind a session in a list that is sorted like this.
    pub fn after(session: &Session, sort: SortKey, descending: bool) -> Self {
        Self { sort, descending, value: sort.value(session), id: session.id }
    }

    /// The cursor as text: letters, digits, `-` and `_`.
    pub fn encode(&self) -> String {
        BASE64URL_NOPAD.encode(to_json(self).as_bytes())
    }

    /// Reads what [`Cursor::encode`] wrote, else [`StoreError::BadCursor`].
    pub fn decode(text: &str) -> Result<Self, StoreError> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| StoreError::BadCursor)?;
        let cursor: Self = serde_json::from_slice(&bytes).map_err(|_| StoreError::BadCursor)?;
        let fits = match &cursor.value {
            SortValue::Number(_) => cursor.sort.is_time(),
            SortValue::Text(text) => !cursor.sort.is_time() && !text.contains('\0'),
        };
        if fits { Ok(cursor) } else { Err(StoreError::BadCursor) }
    }
}

impl Tx {
    /// A page of sessions. A cursor of another sort order is a [`StoreError::BadCursor`].
    pub async fn sessions(&mut self, filter: &SessionFilter) -> Result<Vec<Session>, StoreError> {
        let here = |cursor: &Cursor| cursor.sort == filter.sort && cursor.descending == filter.descending;
        if !filter.cursor.as_ref().is_none_or(here) {
            return Err(StoreError::BadCursor);
        }
        let is_wanted = |status: &Status| {
            filter.view.shows(*status) && (filter.statuses.is_empty() || filter.statuses.contains(status))
        };
        let statuses: Vec<_> = Status::ALL.into_iter().filter(is_wanted).collect();
        let (user, [users, policies, places]) = (filter.whose.user(), filter.whose.area());
        let (q, resource) = (like(&filter.q), like(&filter.resource));
        let approves = filter.approves.as_ref();
        let profiles = approves.map(|approves| id_list(&approves.profiles));
        let as_manager = approves.map(|approves| id_list(&approves.as_manager));
        let reports = approves.map(|approves| id_list(&approves.reports));
        let (statuses, limit) = (id_list(&statuses), i64::from(filter.limit));
        let listed = filter.view != View::History;
        let from = filter.requested_from.map_or(i64::MIN, Timestamp::as_micros);
        let before = filter.requested_before.map_or(i64::MAX, Timestamp::as_micros);
        let sql = || AssertSqlSafe(page_sql(filter));
        macro_rules! page {
            ($($position:expr),*) => {
                fetch_all!(SessionRow, self, sql(), listed, user, q, resource, statuses, limit, profiles, from, before,
                    users, policies, places, as_manager, reports $(, $position)*)
            };
        }
        let rows = match &filter.cursor {
            None => page!(),
            Some(Cursor { value: SortValue::Number(number), id, .. }) => page!(*number, id.to_string()),
            Some(Cursor { value: SortValue::Text(text), id, .. }) => page!(text, id.to_string()),
        }?;
        rows.into_iter().map(Session::try_from).collect()
    }
}

fn page_sql(filter: &SessionFilter) -> String {
    let column = filter.sort.column();
    let (order, beyond) = if filter.descending { ("desc", "<") } else { ("asc", ">") };
    let behind = match filter.cursor {
        Some(_) => format!("and ({column}, id) {beyond} ($15, $16) "),
        None => String::new(),
    };
    // Spelled out, so that the index of a user's sessions serves; the other spelling keeps the parameters' numbers.
    let owner = match filter.whose {
        Whose::Everybody => "$2 is null and $10 is null and $11 is null and $12 is null",
        Whose::Others(_) => "user_id <> $2 and $10 is null and $11 is null and $12 is null",
        Whose::User(_) => "user_id = $2 and $10 is null and $11 is null and $12 is null",
        Whose::Within(..) => {
            "(user_id = $2 or (($10 is null or user_id in (select value from json_each($10))) \
             and ($11 is null or policy_id in (select value from json_each($11))) \
             and ($12 is null or resource_id in (select value from json_each($12)))))"
        }
    };
    // The same: who asks for no time is answered by the index of the order.
    let time = match (filter.requested_from, filter.requested_before) {
        (None, None) => "$8 < $9",
        _ => "requested_at >= $8 and requested_at < $9",
    };
    // An extension is asked about while its session runs.
    let wished = match filter.view {
        View::Approvals if filter.statuses.is_empty() => {
            " or (wish is not null and status in ('available', 'logged_in', 'locked'))"
        }
        _ => "",
    };
    format!(
        "select * from session where listed = $1 and {owner} \
         and ($3 is null or search_fold like $3 escape '\\') \
         and ($4 is null or resource_fold like $4 escape '\\') \
         and (status in (select value from json_each($5)){wished}) and {time} \
         and ($7 is null or profile_id in (select value from json_each($7)) \
         or (profile_id in (select value from json_each($13)) and user_id in (select value from json_each($14)))) {behind}\
         order by {column} {order}, id {order} limit $6"
    )
}

/// The pattern that finds a text anywhere; none for an empty one. Both sides are folded, which keeps `like` the same on
/// both databases: SQLite's ignores the case of ASCII, PostgreSQL's does not.
fn like(text: &str) -> Option<String> {
    let text: String = text.chars().filter(|c| *c != '\0').take(SEARCH_CHARS_MAX).collect();
    if text.trim().is_empty() {
        return None;
    }
    let escaped = fold(text.trim()).replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    Some(format!("%{escaped}%"))
}
