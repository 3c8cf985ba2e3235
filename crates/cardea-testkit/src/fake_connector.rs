//! A target in memory: places, removes and observes like a real one, and fails or stalls when it is told to.

mod step;

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use cardea_domain::{
    Connector, ConnectorError, Depth, Evidence, Frame, GrantId, KnownAccount, Locked, LogIn, LoginAccount, Mark,
    Observation, Order, Placed, Presence, Privilege, ScanFinding, Script, ScriptOutcome, SessionId, Snapshot, Target,
    Timestamp, UidRange, Undo,
};
use tokio::{
    sync::{oneshot, watch},
    task,
};

use self::step::Pending;
pub use self::step::{Fate, Waiting};

/// What is asked of a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Account,
    Extend,
    HostKey,
    Lock,
    LogIns,
    Marks,
    Observe,
    Place,
    Remove,
    RunScript,
    Scan,
    Snapshot,
    Unlock,
}

impl Operation {
    /// Every operation: a fault can be injected at each.
    pub const ALL: [Self; 13] = [
        Self::Account,
        Self::Extend,
        Self::HostKey,
        Self::Lock,
        Self::LogIns,
        Self::Marks,
        Self::Observe,
        Self::Place,
        Self::Remove,
        Self::RunScript,
        Self::Scan,
        Self::Snapshot,
        Self::Unlock,
    ];
}

/// Something on the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// Whose it is; `None` for what was there before Cardea.
    pub grant: Option<GrantId>,
    /// The mark that it carries.
    pub token: String,
    /// When the target would end it by itself.
    pub expires_at: Option<Timestamp>,
    /// Whether it is suspended.
    pub locked: bool,
    /// As it was ordered; `None` for what was there before Cardea.
    order: Option<Order>,
}

/// One call that a connector got, in the order in which they were let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub operation: Operation,
    /// The resource's name, or its address.
    pub host: String,
    pub session: Option<SessionId>,
    pub fence: i64,
    /// What it was about: the keys of [`FakeConnector::things`], or the address.
    pub about: Vec<String>,
}

/// A connector whose targets are maps. Like real ones, it refuses a fence below the newest that it saw.
pub struct FakeConnector {
    state: Mutex<State>,
    doors: HashMap<Operation, watch::Sender<Door>>,
    host_doors: Mutex<HashMap<String, watch::Sender<Door>>>,
    /// Counts what happens to calls that go step by step.
    steps: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    things: BTreeMap<String, Thing>,
    fences: HashMap<SessionId, i64>,
    /// What becomes of the next calls; `None` lets one through.
    once: HashMap<Operation, VecDeque<Option<ConnectorError>>>,
    always: HashMap<Operation, ConnectorError>,
    calls: Vec<Call>,
    /// By resource and name: accounts that tests planted.
    accounts: BTreeMap<(String, String), KnownAccount>,
    /// By resource.
    log_ins: BTreeMap<String, Vec<LogIn>>,
    snapshots: BTreeMap<String, Snapshot>,
    /// Every run that was begun, in order.
    scripts: Vec<Script>,
    outcomes: VecDeque<ScriptOutcome>,
    /// Whether calls go step by step, and those that wait for theirs.
    is_stepped: bool,
    pending: BTreeMap<u64, Pending>,
    pendings: u64,
}

/// Whether calls of one operation are let through, and how many stand before it.
#[derive(Clone, Copy, Default)]
struct Door {
    locks: usize,
    waiting: usize,
}

/// Keeps calls of one operation from going on, until it is dropped.
pub struct Hold {
    door: watch::Sender<Door>,
}

impl Hold {
    /// Waits until so many calls stand before it.
    pub async fn reached(&self, calls: usize) {
        let mut door = self.door.subscribe();
        door.wait_for(|door| door.waiting >= calls).await.expect("the connector outlives its holds");
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.door.send_modify(|door| door.locks -= 1);
    }
}

/// A call before a door. Leaves it also when it is given up.
struct Visitor<'a>(&'a watch::Sender<Door>);

impl Drop for Visitor<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|door| door.waiting -= 1);
    }
}

impl FakeConnector {
    /// The key that every fake host shows.
    pub const HOST_KEY: &'static str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICT7+vKOO4ZN649Q6sootauRUc3xy0KZ9PlXgX9X9X3z";

    /// Hosts with nothing on them.
    pub fn new() -> Arc<Self> {
        let doors = Operation::ALL.map(|operation| (operation, watch::Sender::default()));
        let (host_doors, steps) = (Mutex::default(), watch::Sender::default());
        Arc::new(Self { state: Mutex::default(), doors: doors.into(), host_doors, steps })
    }

    /// What is out there, by `RESOURCE ACCOUNT KIND`, with the group's name behind a membership and the grant's id
    /// behind a key.
    pub fn things(&self) -> BTreeMap<String, Thing> {
        self.state().things.clone()
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// Puts a thing back that was removed, as whoever has root there could.
    pub fn put_back(&self, key: &str, thing: Thing) {
        self.state().things.insert(key.to_owned(), thing);
    }

    /// Puts something there that is not Cardea's, by its key in [`Self::things`].
    pub fn occupy(&self, key: &str) {
        let thing = Thing { grant: None, token: String::new(), expires_at: None, locked: false, order: None };
        self.state().things.insert(key.to_owned(), thing);
    }

    /// Puts an account there that is not Cardea's, by the resource's name and its own.
    pub fn plant_account(&self, resource: &str, name: &str, account: KnownAccount) {
        self.state().accounts.insert((resource.to_owned(), name.to_owned()), account);
    }

    /// Says who is logged in on a resource from now on.
    pub fn plant_log_ins(&self, resource: &str, log_ins: Vec<LogIn>) {
        self.state().log_ins.insert(resource.to_owned(), log_ins);
    }

    /// Says what a resource's snapshots show from now on.
    pub fn plant_snapshot(&self, resource: &str, snapshot: Snapshot) {
        self.state().snapshots.insert(resource.to_owned(), snapshot);
    }

    /// Says how the script after those that are planned ends. Without a plan it ends well and says nothing.
    pub fn plan_script(&self, outcome: ScriptOutcome) {
        self.state().outcomes.push_back(outcome);
    }

    /// Every script that was begun, in order.
    pub fn scripts(&self) -> Vec<Script> {
        self.state().scripts.clone()
    }

    /// The targets' own clocks show this time: dead men's switches whose end has come act, by mark only, and keys beyond
    /// theirs open nothing any more.
    pub fn expire(&self, now: Timestamp) {
        let mut state = self.state();
        let due: Vec<_> =
            state.things.iter().filter(|(_, thing)| thing.is_due(now)).map(|(key, _)| key.clone()).collect();
        for key in due {
            // A key was all there was.
            let Some(Privilege::DeadMan { undo }) = state.things.remove(&key).and_then(|it| Some(it.order?.privilege))
            else {
                continue;
            };
            let resource = key.split(' ').next().unwrap_or_default();
            for one in undo {
                if state.is_left_to_another(resource, &one, now) {
                    continue;
                }
                let key = place_of(resource, &one.account.name, (one.grant, &one.privilege));
                if state.things.get(&key).is_some_and(|thing| thing.is_of(&one.privilege, &one.token)) {
                    state.things.remove(&key);
                }
            }
        }
    }

    /// Lets the next call of the operation fail. Called again, the one after that fails too.
    pub fn fail_next(&self, operation: Operation, error: ConnectorError) {
        self.state().once.entry(operation).or_default().push_back(Some(error));
    }

    /// Lets the next call of the operation through: the failure that is asked for next comes after it.
    pub fn pass_next(&self, operation: Operation) {
        self.state().once.entry(operation).or_default().push_back(None);
    }

    /// Lets every call of the operation fail until [`Self::heal`].
    pub fn fail_always(&self, operation: Operation, error: ConnectorError) {
        self.state().always.insert(operation, error);
    }

    /// Takes back every [`Self::fail_always`].
    pub fn heal(&self) {
        self.state().always.clear();
    }

    /// Keeps calls of the operation from going on for as long as the answer lives.
    #[must_use = "dropping it lets the calls go on"]
    pub fn hold(&self, operation: Operation) -> Hold {
        let door = self.door(operation).clone();
        door.send_modify(|door| door.locks += 1);
        Hold { door }
    }

    /// Keeps every call to one host from going on, by its resource's name, for as long as the answer lives.
    #[must_use = "dropping it lets the calls go on"]
    pub fn hold_host(&self, name: &str) -> Hold {
        let door = self.host_door(name);
        door.send_modify(|door| door.locks += 1);
        Hold { door }
    }

    /// Writes a fence for a session on the hosts, as whoever has root there could.
    pub fn forge_fence(&self, session: SessionId, fence: i64) {
        self.state().fences.insert(session, fence);
    }

    /// Locks or unlocks what is there and carries the orders' tokens. Like a real target, unlocking gives the orders' end.
    async fn set_locked(
        &self,
        operation: Operation,
        target: &Target,
        (frame, orders): (Frame, &[Order]),
    ) -> Result<Locked, ConnectorError> {
        let (target, orders) = (target.clone(), orders.to_vec());
        let call = call(operation, &target, frame, keys(&target, &orders));
        let locked = operation == Operation::Lock;
        let set = move |state: &mut State| {
            for order in &orders {
                let thing = state.things.get_mut(&key(&target, order));
                let Some(thing) = thing.filter(|thing| thing.is_of(&order.privilege, &order.token)) else { continue };
                thing.locked = locked;
                if !locked {
                    thing.expires_at = Some(order.expires_at);
                }
            }
            Ok(Locked { read_back: format!("{} things, locked: {locked}", orders.len()) })
        };
        self.run(call, set).await
    }

    fn door(&self, operation: Operation) -> &watch::Sender<Door> {
        self.doors.get(&operation).expect("there is a door for each operation")
    }

    fn host_door(&self, name: &str) -> watch::Sender<Door> {
        self.host_doors.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default().clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call: waits until it is let through, then has its effect unless it is to fail.
    async fn run<T, F>(&self, call: Call, effect: F) -> Result<T, ConnectorError>
    where
        T: Send + 'static,
        F: FnOnce(&mut State) -> Result<T, ConnectorError> + Send + 'static,
    {
        if self.state().is_stepped {
            return self.stepped(call, effect).await;
        }
        pass(&self.host_door(&call.host)).await;
        pass(self.door(call.operation)).await;
        let mut state = self.state();
        state.admit(&call)?;
        let State { once, always, .. } = &mut *state;
        let planned = once.get_mut(&call.operation).and_then(VecDeque::pop_front);
        if let Some(error) = planned.unwrap_or_else(|| always.get(&call.operation).cloned()) {
            return Err(error);
        }
        effect(&mut state)
    }
}

/// Waits before a door until it is open.
async fn pass(door: &watch::Sender<Door>) {
    door.send_modify(|door| door.waiting += 1);
    let visitor = Visitor(door);
    door.subscribe().wait_for(|door| door.locks == 0).await.expect("the connector owns the door");
    drop(visitor);
}

impl State {
    /// Whether a switch that is not due yet removes the same: what several sessions hold stays for the last of them.
    fn is_left_to_another(&self, resource: &str, undo: &Undo, now: Timestamp) -> bool {
        let is_same = |other: &Undo| {
            (other.grant, &other.token, other.privilege.kind()) == (undo.grant, &undo.token, undo.privilege.kind())
        };
        let mut here = self.things.iter().filter(|(key, thing)| is_on(resource, key) && !thing.is_due(now));
        here.any(|(_, thing)| thing.undoes().iter().any(is_same))
    }

    /// The marks that a look from the target's side finds. A membership carries none: a switch that would take it away tells of it.
    fn marks(&self, resource: &str) -> Vec<Mark> {
        let mut marks = Vec::new();
        for (key, thing) in self.things.iter().filter(|(key, _)| is_on(resource, key)) {
            for undo in thing.undoes() {
                let Privilege::GroupMembership(membership) = &undo.privilege else { continue };
                let place = place_of(resource, &undo.account.name, (undo.grant, &undo.privilege));
                if self.things.contains_key(&place) {
                    let mut mark = mark_of(&undo.privilege, (undo.grant, &undo.token), &undo.account, &place);
                    mark.subject = Some(membership.group.clone());
                    marks.push(mark);
                }
            }
            let order = thing.order.as_ref().filter(|order| !is_membership(&order.privilege));
            marks
                .extend(order.map(|order| mark_of(&order.privilege, (order.grant, &thing.token), &order.account, key)));
        }
        marks
    }

    /// Takes note of a call that reaches its host, which refuses a fence below the newest that it saw.
    fn admit(&mut self, call: &Call) -> Result<(), ConnectorError> {
        self.calls.push(call.clone());
        let Some(session) = call.session else { return Ok(()) };
        let newest = self.fences.entry(session).or_default();
        if call.fence < *newest {
            return Err(ConnectorError::Superseded { seen: *newest });
        }
        *newest = call.fence;
        Ok(())
    }
}

impl Thing {
    fn placed(order: &Order) -> Self {
        Self {
            grant: Some(order.grant),
            token: order.token.clone(),
            expires_at: Some(order.expires_at),
            locked: false,
            order: Some(order.clone()),
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let ends =
            |order: &Order| matches!(order.privilege, Privilege::AuthorizedKey { .. } | Privilege::DeadMan { .. });
        self.order.as_ref().is_some_and(ends) && self.expires_at.is_some_and(|end| end <= now)
    }

    /// Whether whoever shows this token may take it away. A membership carries none: whoever names it may.
    fn is_of(&self, privilege: &Privilege, token: &str) -> bool {
        is_membership(privilege) || self.token == token
    }

    /// What it takes away when its end has come.
    fn undoes(&self) -> &[Undo] {
        match self.order.as_ref().map(|order| &order.privilege) {
            Some(Privilege::DeadMan { undo }) => undo,
            _ => &[],
        }
    }
}

fn is_membership(privilege: &Privilege) -> bool {
    matches!(privilege, Privilege::GroupMembership(_))
}

fn is_on(resource: &str, key: &str) -> bool {
    key.split(' ').next() == Some(resource)
}

fn mark_of(privilege: &Privilege, (grant, token): (GrantId, &str), account: &LoginAccount, place: &str) -> Mark {
    Mark {
        kind: privilege.kind().to_owned(),
        grant,
        token: token.to_owned(),
        account: Some(account.name.clone()),
        uid: Some(account.uid),
        subject: None,
        detail: place.to_owned(),
    }
}

/// A call that belongs to no session.
fn look(operation: Operation, host: &str) -> Call {
    let (host, about) = (host.to_owned(), vec![host.to_owned()]);
    Call { operation, host, session: None, fence: 0, about }
}

fn look_at(operation: Operation, target: &Target) -> Call {
    look(operation, &target.name)
}

fn call(operation: Operation, target: &Target, frame: Frame, about: Vec<String>) -> Call {
    let host = target.name.clone();
    Call { operation, host, session: Some(frame.session), fence: frame.fence, about }
}

fn keys(target: &Target, orders: &[Order]) -> Vec<String> {
    orders.iter().map(|order| key(target, order)).collect()
}

fn key(target: &Target, order: &Order) -> String {
    place_of(&target.name, &order.account.name, (order.grant, &order.privilege))
}

fn place_of(resource: &str, account: &str, (grant, privilege): (GrantId, &Privilege)) -> String {
    let place = format!("{resource} {account} {}", privilege.kind());
    match privilege {
        Privilege::AuthorizedKey { .. } | Privilege::DeadMan { .. } => format!("{place} {grant}"),
        Privilege::GroupMembership(membership) => format!("{place} {}", membership.group),
        _ => place,
    }
}

#[async_trait]
impl Connector for FakeConnector {
    async fn observe(
        &self,
        target: &Target,
        frame: Frame,
        orders: &[Order],
    ) -> Result<Vec<Observation>, ConnectorError> {
        let (keys, orders) = (keys(target, orders), orders.to_vec());
        let call = call(Operation::Observe, target, frame, keys.clone());
        let look = move |state: &mut State| {
            let look = |(order, key): (&Order, &String)| {
                let presence = match state.things.get(key) {
                    None => Presence::Absent,
                    // Nothing on a host says whose it is.
                    Some(_) if is_membership(&order.privilege) => Presence::Foreign,
                    Some(thing) if thing.token == order.token => Presence::Ours,
                    Some(_) => Presence::Foreign,
                };
                Observation { presence, detail: format!("{key}: {presence:?}") }
            };
            Ok(orders.iter().zip(&keys).map(look).collect())
        };
        self.run(call, look).await
    }

    async fn place(&self, target: &Target, frame: Frame, order: &Order) -> Result<Placed, ConnectorError> {
        let (key, order) = (key(target, order), order.clone());
        let call = call(Operation::Place, target, frame, vec![key.clone()]);
        let place = move |state: &mut State| {
            let is_there = state.things.get(&key).filter(|thing| thing.token != order.token);
            if is_there.is_some() && is_membership(&order.privilege) {
                return Ok(Placed { read_back: format!("{key} is there"), warning: None });
            }
            if let Some(other) = is_there {
                return Err(ConnectorError::Collision(format!("{key} is there and belongs to {:?}", other.grant)));
            }
            if order.privilege.stays() {
                state.things.insert(key.clone(), Thing::placed(&order));
            }
            Ok(Placed { read_back: format!("{key} is there"), warning: None })
        };
        self.run(call, place).await
    }

    async fn remove(&self, target: &Target, frame: Frame, order: &Order) -> Result<Evidence, ConnectorError> {
        let (key, order) = (key(target, order), order.clone());
        let call = call(Operation::Remove, target, frame, vec![key.clone()]);
        let remove = move |state: &mut State| {
            if state.things.get(&key).is_some_and(|thing| thing.is_of(&order.privilege, &order.token)) {
                state.things.remove(&key);
            }
            // When and by whose word is the caller's to say.
            Ok(Evidence {
                read_at: Timestamp::from_micros(0),
                read_back: format!("{key} is gone"),
                self_reported: false,
                findings: Vec::new(),
            })
        };
        self.run(call, remove).await
    }

    async fn scan(&self, target: &Target, _: UidRange) -> Result<Vec<ScanFinding>, ConnectorError> {
        self.run(look_at(Operation::Scan, target), |_| Ok(Vec::new())).await
    }

    async fn account(&self, target: &Target, frame: Frame, name: &str) -> Result<Option<KnownAccount>, ConnectorError> {
        let (host, name) = (target.name.clone(), name.to_owned());
        let call = call(Operation::Account, target, frame, vec![format!("{host} {name}")]);
        let look = move |state: &mut State| {
            if let Some(known) = state.accounts.get(&(host.clone(), name.clone())) {
                return Ok(Some(known.clone()));
            }
            let thing = state.things.get(&format!("{host} {name} account"));
            Ok(thing.and_then(|thing| thing.order.as_ref()).map(|order| KnownAccount {
                uid: order.account.uid,
                comment: format!("cardea {} {}", order.grant, order.token),
                locked: false,
                expires_day: Some(order.expires_at.as_seconds().div_euclid(86_400) + 1),
            }))
        };
        self.run(call, look).await
    }

    async fn run_script(
        &self,
        target: &Target,
        frame: Frame,
        script: &Script,
    ) -> Result<ScriptOutcome, ConnectorError> {
        let script = script.clone();
        let call = call(Operation::RunScript, target, frame, vec![format!("{} {}", target.name, script.grant)]);
        let run = move |state: &mut State| {
            if state.scripts.iter().any(|begun| begun.grant == script.grant) {
                return Err(ConnectorError::Refused(format!("the script of grant {} was begun before", script.grant)));
            }
            state.scripts.push(script);
            let well = ScriptOutcome { status: 0, timed_out: false, output: String::new() };
            Ok(state.outcomes.pop_front().unwrap_or(well))
        };
        self.run(call, run).await
    }

    async fn extend(&self, target: &Target, frame: Frame, orders: &[Order]) -> Result<Vec<Placed>, ConnectorError> {
        let (keys, orders) = (keys(target, orders), orders.to_vec());
        let call = call(Operation::Extend, target, frame, keys.clone());
        let extend = move |state: &mut State| {
            let extend = |(order, key): (&Order, &String)| {
                let Some(thing) = state.things.get_mut(key).filter(|thing| thing.token == order.token) else {
                    return Placed { read_back: format!("{key} is not there"), warning: Some("not there".to_owned()) };
                };
                thing.expires_at = Some(order.expires_at);
                // As on a host, all of it is written anew.
                if thing.order.is_some() {
                    thing.order = Some(order.clone());
                }
                Placed { read_back: format!("{key} ends at {}", order.expires_at.compact()), warning: None }
            };
            Ok(orders.iter().zip(&keys).map(extend).collect())
        };
        self.run(call, extend).await
    }

    async fn lock(&self, target: &Target, frame: Frame, orders: &[Order]) -> Result<Locked, ConnectorError> {
        self.set_locked(Operation::Lock, target, (frame, orders)).await
    }

    async fn unlock(&self, target: &Target, frame: Frame, orders: &[Order]) -> Result<Locked, ConnectorError> {
        self.set_locked(Operation::Unlock, target, (frame, orders)).await
    }

    async fn log_ins(&self, target: &Target, uids: &[u32]) -> Result<Vec<LogIn>, ConnectorError> {
        let (name, uids) = (target.name.clone(), uids.to_vec());
        let look = move |state: &mut State| {
            let all = state.log_ins.get(&name).into_iter().flatten();
            Ok(all.filter(|log_in| uids.contains(&log_in.uid)).cloned().collect())
        };
        self.run(look_at(Operation::LogIns, target), look).await
    }

    async fn marks(&self, target: &Target) -> Result<Vec<Mark>, ConnectorError> {
        let name = target.name.clone();
        self.run(look_at(Operation::Marks, target), move |state| Ok(state.marks(&name))).await
    }

    async fn snapshot(&self, target: &Target, _: Depth) -> Result<Snapshot, ConnectorError> {
        let name = target.name.clone();
        let look = move |state: &mut State| Ok(state.snapshots.get(&name).cloned().unwrap_or_default());
        self.run(look_at(Operation::Snapshot, target), look).await
    }

    async fn host_key(&self, address: &str, port: u16) -> Result<String, ConnectorError> {
        self.run(look(Operation::HostKey, &format!("{address}:{port}")), |_| Ok(Self::HOST_KEY.to_owned())).await
    }
}
