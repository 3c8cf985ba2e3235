//! A target in memory: places, removes and observes like a real one, and fails or stalls when it is told to.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use cardea_domain::{
    Connector, ConnectorError, Evidence, Frame, GrantId, Observation, Order, Placed, Presence, Privilege, ScanFinding,
    SessionId, Target, Timestamp, UidRange,
};
use tokio::sync::watch;

/// What is asked of a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    HostKey,
    Observe,
    Place,
    Remove,
    Scan,
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
}

/// One call that a connector got, in the order in which they were let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub operation: Operation,
    pub session: Option<SessionId>,
    pub fence: i64,
    /// What it was about: the keys of [`FakeConnector::things`], or the address.
    pub about: Vec<String>,
}

/// A connector whose targets are maps. Like real ones, it refuses a fence below the newest that it saw.
pub struct FakeConnector {
    state: Mutex<State>,
    doors: HashMap<Operation, watch::Sender<Door>>,
}

#[derive(Default)]
struct State {
    things: BTreeMap<String, Thing>,
    fences: HashMap<SessionId, i64>,
    /// What becomes of the next calls; `None` lets one through.
    once: HashMap<Operation, VecDeque<Option<ConnectorError>>>,
    always: HashMap<Operation, ConnectorError>,
    calls: Vec<Call>,
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
        use Operation::{HostKey, Observe, Place, Remove, Scan};
        let doors = [HostKey, Observe, Place, Remove, Scan].map(|operation| (operation, watch::Sender::default()));
        Arc::new(Self { state: Mutex::default(), doors: doors.into() })
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

    /// Puts something there that is not Cardea's, by its key in [`Self::things`].
    pub fn occupy(&self, key: &str) {
        let thing = Thing { grant: None, token: String::new(), expires_at: None };
        self.state().things.insert(key.to_owned(), thing);
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

    fn door(&self, operation: Operation) -> &watch::Sender<Door> {
        self.doors.get(&operation).expect("there is a door for each operation")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits before the door, takes note, and fails if it is to.
    async fn enter(&self, call: Call) -> Result<(), ConnectorError> {
        let door = self.door(call.operation);
        door.send_modify(|door| door.waiting += 1);
        let visitor = Visitor(door);
        door.subscribe().wait_for(|door| door.locks == 0).await.expect("the connector owns the door");
        drop(visitor);
        let mut state = self.state();
        let State { fences, once, always, calls, .. } = &mut *state;
        calls.push(call.clone());
        if let Some(session) = call.session {
            let newest = fences.entry(session).or_default();
            if call.fence < *newest {
                return Err(ConnectorError::Superseded { seen: *newest });
            }
            *newest = call.fence;
        }
        let planned = once.get_mut(&call.operation).and_then(VecDeque::pop_front);
        planned.unwrap_or_else(|| always.get(&call.operation).cloned()).map_or(Ok(()), Err)
    }
}

fn call(operation: Operation, frame: Frame, about: Vec<String>) -> Call {
    Call { operation, session: Some(frame.session), fence: frame.fence, about }
}

fn key(target: &Target, order: &Order) -> String {
    let Order { grant, account, privilege, .. } = order;
    let place = format!("{} {} {}", target.name, account.name, privilege.kind());
    match privilege {
        Privilege::Account | Privilege::SudoRule { .. } => place,
        Privilege::AuthorizedKey { .. } => format!("{place} {grant}"),
        Privilege::GroupMembership { group } => format!("{place} {group}"),
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
        let keys: Vec<_> = orders.iter().map(|order| key(target, order)).collect();
        self.enter(call(Operation::Observe, frame, keys.clone())).await?;
        let state = self.state();
        let look = |(order, key): (&Order, &String)| {
            let presence = match state.things.get(key) {
                None => Presence::Absent,
                Some(thing) if thing.token == order.token => Presence::Ours,
                Some(_) => Presence::Foreign,
            };
            Observation { presence, detail: format!("{key}: {presence:?}") }
        };
        Ok(orders.iter().zip(&keys).map(look).collect())
    }

    async fn place(&self, target: &Target, frame: Frame, order: &Order) -> Result<Placed, ConnectorError> {
        let key = key(target, order);
        self.enter(call(Operation::Place, frame, vec![key.clone()])).await?;
        let mut state = self.state();
        if let Some(other) = state.things.get(&key).filter(|thing| thing.token != order.token) {
            return Err(ConnectorError::Collision(format!("{key} is there and belongs to {:?}", other.grant)));
        }
        let thing = Thing { grant: Some(order.grant), token: order.token.clone(), expires_at: Some(order.expires_at) };
        state.things.insert(key.clone(), thing);
        Ok(Placed { read_back: format!("{key} is there") })
    }

    async fn remove(&self, target: &Target, frame: Frame, order: &Order) -> Result<Evidence, ConnectorError> {
        let key = key(target, order);
        self.enter(call(Operation::Remove, frame, vec![key.clone()])).await?;
        let mut state = self.state();
        if state.things.get(&key).is_some_and(|thing| thing.token == order.token) {
            state.things.remove(&key);
        }
        // When and by whose word is the caller's to say.
        Ok(Evidence {
            read_at: Timestamp::from_micros(0),
            read_back: format!("{key} is gone"),
            self_reported: false,
            findings: Vec::new(),
        })
    }

    async fn scan(&self, target: &Target, _: UidRange) -> Result<Vec<ScanFinding>, ConnectorError> {
        let about = vec![target.name.clone()];
        self.enter(Call { operation: Operation::Scan, session: None, fence: 0, about }).await?;
        Ok(Vec::new())
    }

    async fn host_key(&self, address: &str, port: u16) -> Result<String, ConnectorError> {
        let about = vec![format!("{address}:{port}")];
        self.enter(Call { operation: Operation::HostKey, session: None, fence: 0, about }).await?;
        Ok(Self::HOST_KEY.to_owned())
    }
}
