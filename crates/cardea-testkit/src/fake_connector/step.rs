//! Calls that go step by step: each waits until a test says what becomes of it, before its effect and again before its answer.
//!
//! A call whose caller went away is still on its way: like a command on a real host, it may arrive late, and has its effect
//! if no newer fence was seen there.

use super::*;

/// What becomes of a call that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has its effect, and is answered.
    Well,
    /// It has its effect; the answer still waits.
    Done,
    /// It never reaches the host: answered with this error.
    Fails(ConnectorError),
    /// It has its effect, and the answer is lost.
    Cut,
    /// The caller hears that the answer is unknown. The command still waits, and may arrive or not.
    Late,
}

/// A call that waits for its next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Rises from call to call.
    pub number: u64,
    pub call: Call,
    /// Whether it had its effect and only its answer waits.
    pub is_done: bool,
    /// Whether somebody waits for the answer. A command on its way that nobody waits for may be dropped by [`Fate::Fails`].
    pub is_awaited: bool,
}

pub(super) struct Pending {
    call: Call,
    /// The task that made it.
    task: Option<task::Id>,
    command: Box<dyn Command>,
}

/// A call without its types.
trait Command: Send {
    fn act(&mut self, state: &mut State, call: &Call);
    fn is_done(&self) -> bool;
    fn is_awaited(&self) -> bool;
    /// Answers with the error, or with what the effect came to.
    fn answer(&mut self, error: Option<ConnectorError>);
}

struct Ticket<T, F> {
    effect: Option<F>,
    result: Option<Result<T, ConnectorError>>,
    caller: Option<oneshot::Sender<Result<T, ConnectorError>>>,
}

impl<T, F> Command for Ticket<T, F>
where
    T: Send,
    F: FnOnce(&mut State) -> Result<T, ConnectorError> + Send,
{
    fn act(&mut self, state: &mut State, call: &Call) {
        if let Some(effect) = self.effect.take() {
            self.result = Some(state.admit(call).and_then(|()| effect(state)));
        }
    }

    fn is_done(&self) -> bool {
        self.effect.is_none()
    }

    fn is_awaited(&self) -> bool {
        self.caller.as_ref().is_some_and(|caller| !caller.is_closed())
    }

    fn answer(&mut self, error: Option<ConnectorError>) {
        let result = error.map(Err).or_else(|| self.result.take());
        if let (Some(caller), Some(result)) = (self.caller.take(), result) {
            // Nobody listens if the caller went away.
            drop(caller.send(result));
        }
    }
}

impl FakeConnector {
    /// From now on every call waits for [`Self::step`].
    pub fn step_by_step(&self) {
        self.state().is_stepped = true;
    }

    /// The calls that wait, in the order in which they were made.
    pub fn waiting(&self) -> Vec<Waiting> {
        let waiting = |(number, pending): (&u64, &Pending)| Waiting {
            number: *number,
            call: pending.call.clone(),
            is_done: pending.command.is_done(),
            is_awaited: pending.command.is_awaited(),
        };
        self.state().pending.iter().map(waiting).collect()
    }

    /// The tasks that wait for the answer of a call of which `is_meant` is so.
    pub fn tasks_waiting(&self, is_meant: impl Fn(Operation) -> bool) -> HashSet<task::Id> {
        let state = self.state();
        let awaited = state.pending.values().filter(|pending| pending.command.is_awaited());
        awaited.filter(|pending| is_meant(pending.call.operation)).filter_map(|pending| pending.task).collect()
    }

    /// Changes with every call that begins to wait.
    pub fn steps(&self) -> watch::Receiver<u64> {
        self.steps.subscribe()
    }

    /// Takes a call that waits one step further; nothing to do if there is none of this number.
    pub fn step(&self, number: u64, fate: Fate) {
        let mut state = self.state();
        let Some(mut pending) = state.pending.remove(&number) else { return };
        if matches!(fate, Fate::Well | Fate::Done | Fate::Cut) {
            pending.command.act(&mut state, &pending.call);
        }
        let lost = || Some(ConnectorError::Unknown("the connection died".to_owned()));
        let is_awaited = pending.command.is_awaited();
        match fate {
            Fate::Done if is_awaited => drop(state.pending.insert(number, pending)),
            Fate::Late => {
                pending.command.answer(lost());
                if !pending.command.is_done() {
                    state.pending.insert(number, pending);
                }
            }
            Fate::Well | Fate::Done => pending.command.answer(None),
            Fate::Cut => pending.command.answer(lost()),
            Fate::Fails(error) => pending.command.answer(Some(error)),
        }
    }

    pub(super) async fn stepped<T, F>(&self, call: Call, effect: F) -> Result<T, ConnectorError>
    where
        T: Send + 'static,
        F: FnOnce(&mut State) -> Result<T, ConnectorError> + Send + 'static,
    {
        let (caller, heard) = oneshot::channel();
        let command = Box::new(Ticket { effect: Some(effect), result: None, caller: Some(caller) });
        {
            let mut state = self.state();
            state.pendings += 1;
            let number = state.pendings;
            state.pending.insert(number, Pending { call, task: task::try_id(), command });
        }
        self.steps.send_modify(|steps| *steps += 1);
        heard.await.unwrap_or_else(|_| Err(ConnectorError::Unknown("the target is gone".to_owned())))
    }
}
