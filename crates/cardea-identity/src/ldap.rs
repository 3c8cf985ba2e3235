//! Directories by LDAP: find one person, try their password, read their groups. It writes nothing there.
//!
//! What a person types is a value, escaped wherever it goes. A person is whoever has the entry's number, not its name.

mod entry;
mod line;
mod task;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use cardea_domain::{Directories, Directory, DirectoryFault, DirectoryPerson, DirectoryVerdict, Secret, Sought};
use ldap3::{
    LdapConnAsync, LdapConnSettings, LdapResult, ResultEntry, Scope, SearchEntry, SearchOptions, StdStream,
    controls::{Control, ControlType, PagedResults},
    ldap_escape,
};
use tokio::{sync::Semaphore, time::timeout};

use self::{
    entry::{GROUPS_MAX, attributes, person, subjects_filter},
    line::Line,
    task::Task,
};

/// How long one question may take.
const QUESTION_LIMIT: Duration = Duration::from_secs(10);
/// How long it may take to try a password, all in all.
const SIGN_IN_LIMIT: Duration = Duration::from_secs(20);
/// How long a look at many people may take.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(15 * 60);
/// Questions of people who sign in that are on their way side by side.
const SIGN_INS_AT_ONCE: usize = 8;
const WAITING_MAX: usize = 64;
/// People who are asked for by one question.
const TOGETHER: usize = 50;
/// Entries of one page, and pages of one question.
const PAGE: i32 = 500;
const PAGES_MAX: usize = 20;
const NAME_MAX: usize = 256;
const PASSWORD_MAX: usize = 1024;

const SUCCESS: u32 = 0;
const INVALID_CREDENTIALS: u32 = 49;

/// Asks directories by LDAP.
pub struct Ldap {
    sign_ins: Semaphore,
    /// Those, and the ones that wait for their turn.
    waiting: Semaphore,
}

impl Default for Ldap {
    fn default() -> Self {
        Self { sign_ins: Semaphore::new(SIGN_INS_AT_ONCE), waiting: Semaphore::new(WAITING_MAX) }
    }
}

#[async_trait]
impl Directories for Ldap {
    async fn sign_in(
        &self,
        directory: &Arc<Directory>,
        sought: Sought<'_>,
        password: &Secret,
    ) -> Result<DirectoryVerdict, DirectoryFault> {
        let Some(filter) = filter_of(directory, sought) else { return Ok(DirectoryVerdict::Unknown) };
        if password.expose(|password| password.is_empty() || password.len() > PASSWORD_MAX) {
            return Ok(DirectoryVerdict::Wrong("the password is empty or too long".to_owned()));
        }
        let password = password.expose(|password| Secret::new(password.clone()));
        let directory = Arc::clone(directory);
        let Ok(_place) = self.waiting.try_acquire() else {
            return Err(fault("too many people sign in at once".to_owned()));
        };
        let all = async {
            let _slot = self.sign_ins.acquire().await.map_err(|error| fault(error.to_string()))?;
            apart(async move { try_password(&directory, &filter, &password).await }).await
        };
        let late = || fault(format!("the directory did not answer within {} s", SIGN_IN_LIMIT.as_secs()));
        timeout(SIGN_IN_LIMIT, all).await.map_err(|_| late())?
    }

    async fn look_up(
        &self,
        directory: &Arc<Directory>,
        subjects: &[String],
    ) -> Result<Vec<DirectoryPerson>, DirectoryFault> {
        let (directory, subjects) = (Arc::clone(directory), subjects.to_vec());
        let all = apart(async move { look_up(&directory, &subjects).await });
        let late = || fault(format!("the directory was not read within {} s", LOOK_UP_LIMIT.as_secs()));
        timeout(LOOK_UP_LIMIT, all).await.map_err(|_| late())?
    }
}

/// Runs it by itself: the library panics at answers that are no LDAP.
async fn apart<T: Send + 'static>(
    work: impl Future<Output = Result<T, DirectoryFault>> + Send + 'static,
) -> Result<T, DirectoryFault> {
    let done = Task::spawn(work).joined().await;
    done.unwrap_or_else(|_| Err(fault("the directory's answer is no LDAP".to_owned())))
}

/// The filter that finds who is sought; `None` if nobody can be that.
fn filter_of(directory: &Directory, sought: Sought<'_>) -> Option<String> {
    match sought {
        Sought::Name(name) if name.is_empty() || name.len() > NAME_MAX || name.contains(char::is_control) => None,
        Sought::Name(name) => Some(directory.user_filter.replace("{user}", &ldap_escape(name))),
        Sought::Subject(subject) => these(directory, &[subject.to_owned()]),
    }
}

/// A filter that finds those of these people whom the filter of people finds.
fn these(directory: &Directory, subjects: &[String]) -> Option<String> {
    let anybody = directory.user_filter.replace("{user}", "*");
    Some(format!("(&{anybody}{})", subjects_filter(subjects)?))
}

async fn try_password(
    directory: &Directory,
    filter: &str,
    password: &Secret,
) -> Result<DirectoryVerdict, DirectoryFault> {
    let mut talk = Talk::begin(directory).await?;
    talk.bind_searcher().await?;
    let mut found = talk.search(Scope::Subtree, filter, &attributes(directory)).await?;
    let (Some(entry), true) = (found.pop(), found.is_empty()) else {
        // Takes as long as a password that is wrong.
        let nobody = format!("cn=nobody,{}", directory.base_dn);
        let _never = talk.bind(&nobody, &Secret::new("of nobody".to_owned())).await?;
        let several = "the name finds more than one entry in the directory: make the filter of people stricter";
        return Ok(if found.is_empty() {
            DirectoryVerdict::Unknown
        } else {
            DirectoryVerdict::Wrong(several.to_owned())
        });
    };
    let mut person = person(directory, &entry)?;
    if entry.dn.is_empty() {
        return Err(fault("the directory found an entry without a name".to_owned()));
    }
    let bound = talk.bind(&entry.dn, password).await?;
    if bound.rc != SUCCESS {
        return Ok(DirectoryVerdict::Wrong(refusal(&bound)));
    }
    talk.bind_searcher().await?;
    talk.read_groups(&entry.dn, &mut person).await?;
    Ok(DirectoryVerdict::Right(person))
}

async fn look_up(directory: &Directory, subjects: &[String]) -> Result<Vec<DirectoryPerson>, DirectoryFault> {
    let mut talk = Talk::begin(directory).await?;
    talk.bind_searcher().await?;
    // A directory that shows us nothing any more answers every question with success and nobody.
    if talk.search(Scope::Base, "(objectClass=*)", &["1.1"]).await?.is_empty() {
        return Err(fault(format!("{} is not there, or its account may not read it", directory.base_dn)));
    }
    let mut people = Vec::new();
    for some in subjects.chunks(TOGETHER) {
        let Some(filter) = these(directory, some) else { continue };
        for entry in talk.search(Scope::Subtree, &filter, &attributes(directory)).await? {
            let mut person = person(directory, &entry)?;
            talk.read_groups(&entry.dn, &mut person).await?;
            people.push(person);
        }
    }
    Ok(people)
}

/// A conversation with a directory.
struct Talk<'a> {
    directory: &'a Directory,
    ldap: ldap3::Ldap,
    line: Line,
    _driver: Task<()>,
}

impl<'a> Talk<'a> {
    async fn begin(directory: &'a Directory) -> Result<Self, DirectoryFault> {
        let (line, end) = Line::open(directory).await?;
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(end));
        let (driver, ldap) =
            LdapConnAsync::with_settings(settings, "ldapi:///").await.map_err(|error| broken(&error))?;
        let driver = Task::spawn(async move {
            // Whoever waits for an answer hears of it.
            let _broken = driver.drive().await;
        });
        Ok(Self { directory, ldap, line, _driver: driver })
    }

    /// Becomes the account that searches.
    async fn bind_searcher(&mut self) -> Result<(), DirectoryFault> {
        let anonymous = Secret::new(String::new());
        let (dn, password) = self.directory.searcher.as_ref().map_or(("", &anonymous), |it| (&it.dn, &it.password));
        let bound = self.bind(dn, password).await?;
        if bound.rc == SUCCESS {
            return Ok(());
        }
        let who = if dn.is_empty() { "anonymous visitors" } else { dn };
        Err(fault(format!("the directory does not let {who} in: {}", refusal(&bound))))
    }

    async fn bind(&mut self, dn: &str, password: &Secret) -> Result<LdapResult, DirectoryFault> {
        self.line.expect_answer();
        let password = password.expose(|password| Secret::new(password.clone()));
        let Self { ldap, .. } = self;
        let asked = async {
            let text = password.expose(String::clone);
            let answer = ldap.simple_bind(dn, &text).await;
            drop(Secret::new(text));
            answer
        };
        let bound = in_time(asked).await?;
        match bound.rc {
            SUCCESS | INVALID_CREDENTIALS | 19 | 34 | 48 | 50 | 53 => Ok(bound),
            // Nobody's password was looked at: busy, unavailable, wants encryption.
            _ => Err(fault(format!("the directory does not check passwords: {}", refusal(&bound)))),
        }
    }

    /// Reads all that is found, a page at a time.
    async fn search(
        &mut self,
        scope: Scope,
        filter: &str,
        attributes: &[&str],
    ) -> Result<Vec<SearchEntry>, DirectoryFault> {
        let mut entries = Vec::new();
        let mut cookie = Vec::new();
        for _ in 0..PAGES_MAX {
            self.line.expect_answer();
            let page = PagedResults { size: PAGE, cookie };
            let seconds = i32::try_from(QUESTION_LIMIT.as_secs()).unwrap_or(i32::MAX);
            let ldap = self.ldap.with_controls(page).with_search_options(SearchOptions::new().timelimit(seconds));
            let answer = in_time(ldap.search(&self.directory.base_dn, scope, filter, attributes)).await?;
            let ldap3::SearchResult(found, result) = answer;
            if result.rc != SUCCESS {
                return Err(fault(format!("the directory does not search: {}", refusal(&result))));
            }
            // References to other directories are not followed.
            let is_entry = |entry: &ResultEntry| !entry.is_ref() && !entry.is_intermediate();
            entries.extend(found.into_iter().filter(is_entry).map(SearchEntry::construct));
            match next_page(&result) {
                Some(next) => cookie = next,
                None => return Ok(entries),
            }
        }
        Err(fault(format!("the directory finds more than {PAGES_MAX} pages by {filter}")))
    }

    /// Adds the groups that a person's entry does not list itself.
    async fn read_groups(&mut self, dn: &str, person: &mut DirectoryPerson) -> Result<(), DirectoryFault> {
        let filter = self.directory.group_filter.replace("{dn}", &ldap_escape(dn));
        let found = self.search(Scope::Subtree, &filter, &["1.1"]).await?;
        let groups: BTreeSet<String> = person.groups.drain(..).chain(found.into_iter().map(|group| group.dn)).collect();
        if groups.len() > GROUPS_MAX {
            return Err(fault(format!("{dn:?} is in more than {GROUPS_MAX} groups")));
        }
        person.groups = groups.into_iter().collect();
        Ok(())
    }
}

/// The cookie of the next page, if there is one.
fn next_page(result: &LdapResult) -> Option<Vec<u8>> {
    let page = result.ctrls.iter().find_map(|control| match control {
        Control(Some(ControlType::PagedResults), raw) => raw.val.as_ref().map(|_| raw.parse::<PagedResults>()),
        _ => None,
    });
    page.map(|page| page.cookie).filter(|cookie| !cookie.is_empty())
}

async fn in_time<T>(question: impl Future<Output = ldap3::result::Result<T>>) -> Result<T, DirectoryFault> {
    let late = || fault(format!("the directory did not answer within {} s", QUESTION_LIMIT.as_secs()));
    timeout(QUESTION_LIMIT, question).await.map_err(|_| late())?.map_err(|error| broken(&error))
}

/// What the directory said, cut short: its own words may hold anything.
fn refusal(result: &LdapResult) -> String {
    const WORDS_MAX: usize = 200;
    let words: String = result.text.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect();
    let why = match reason(&words) {
        Some(why) => why,
        None if result.rc == INVALID_CREDENTIALS => "the password is wrong",
        None => return format!("result {} {words:?}", result.rc),
    };
    why.to_owned()
}

/// Active Directory says in its text why it does not let somebody in.
fn reason(words: &str) -> Option<&'static str> {
    let (_, code) = words.split_once("data ")?;
    let code = code.split([',', ' ']).next()?;
    Some(match code {
        "525" => "there is no such entry",
        "52e" => "the password is wrong",
        "530" => "log-in is not allowed at this time",
        "531" => "log-in is not allowed from here",
        "532" => "the password has expired in the directory",
        "533" => "disabled in the directory",
        "701" => "expired in the directory",
        "773" => "the password must be changed in the directory first",
        "775" => "locked in the directory after too many attempts",
        _ => return None,
    })
}

fn broken(error: &ldap3::LdapError) -> DirectoryFault {
    fault(match error {
        ldap3::LdapError::FilterParsing => "a filter cannot be read by the directory's library".to_owned(),
        // Its other words are about the insides of the library.
        _ => "the directory cut the line, or said more than it may".to_owned(),
    })
}

fn fault(text: String) -> DirectoryFault {
    DirectoryFault(text)
}
