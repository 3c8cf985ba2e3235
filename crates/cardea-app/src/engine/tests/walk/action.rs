//! What can happen in a walk, drawn from a seed; and the search for the fewest of them that still fail.

use cardea_domain::Entropy as _;
use cardea_testkit::SeededEntropy;

/// One thing that happens. Numbers choose among what is there at that moment, so that any part of a walk is a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Request {
        user: u8,
        activity: u8,
        resources: u8,
        policy: u8,
        start: u8,
        key: u8,
    },
    End {
        by: u8,
        session: u8,
    },
    Extend {
        by: u8,
        session: u8,
        minutes: u8,
    },
    Retry {
        by: u8,
        session: u8,
    },
    Dismiss {
        by: u8,
        session: u8,
    },
    Approve {
        by: u8,
        session: u8,
        condition: u8,
    },
    Deny {
        by: u8,
        session: u8,
    },
    Lock {
        by: u8,
        session: u8,
        scope: u8,
    },
    Unlock {
        session: u8,
        scope: u8,
    },
    Join {
        session: u8,
    },
    Leave {
        connection: u8,
    },
    /// A change of the configuration, or its way back.
    Change {
        what: u8,
    },
    TryNow {
        session: u8,
    },
    Wait {
        seconds: u16,
    },
    /// One call goes a step further, and not always well.
    Step {
        call: u8,
        fate: Fated,
    },
    /// So many calls go well.
    Flow {
        calls: u8,
    },
    /// A host cannot be reached from now on, or can again.
    Away {
        host: u8,
    },
    ForgeFence {
        session: u8,
    },
    /// The process is gone, for so long.
    Crash {
        seconds: u16,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fated {
    Well,
    Done,
    Cut,
    Late,
    Lost,
    Unreachable,
    Refused,
    Tampered,
    LoginRefused,
}

/// How a walk's end comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finale {
    /// An operator ends everything.
    Ended,
    /// Everything reaches its end.
    Waited,
    /// Cardea never comes back.
    Gone,
}

/// Actions of a walk.
const LENGTH: u64 = 26;
/// Sessions of this number and above are the latest one.
pub(super) const LATEST: u8 = 160;

pub(super) struct Dice(std::sync::Arc<SeededEntropy>);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    fn roll(&self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    pub(super) fn below(&self, sides: u64) -> u64 {
        self.roll() % sides
    }

    fn byte(&self) -> u8 {
        self.roll().to_le_bytes()[0]
    }

    fn seconds(&self) -> u16 {
        const ODD: [u16; 10] = [1, 7, 31, 61, 119, 241, 305, 601, 1799, 3661];
        ODD[self.below(10) as usize]
    }
}

/// The walk of a seed.
pub(super) fn draw(seed: u64) -> (Vec<Action>, Finale) {
    let dice = Dice::new(seed);
    let length = 4 + dice.below(LENGTH) as usize;
    let mut actions = opening(&dice);
    while actions.len() < length {
        match dice.below(8) {
            0 => actions.extend(opening(&dice)),
            _ => actions.push(action(&dice)),
        }
    }
    let finale = [Finale::Ended, Finale::Ended, Finale::Waited, Finale::Gone][dice.below(4) as usize];
    (actions, finale)
}

/// What often comes together: somebody requests, perhaps two who want the same, others approve, and hosts answer.
fn opening(dice: &Dice) -> Vec<Action> {
    let first = request(dice);
    let mut actions = vec![first];
    if let Action::Request { user, activity, resources, policy, .. } = first
        && dice.below(3) == 0
    {
        actions.push(Action::Request { user: user % 3 + 1, activity, resources, policy, start: 0, key: 1 });
    }
    if dice.below(2) == 0 {
        actions.extend([2, 3, 0].map(|by| Action::Approve { by, session: LATEST, condition: dice.byte() & 7 }));
        // The second tier is theirs alone when nobody answered in it for a while.
        if dice.below(2) == 0 {
            actions.extend([Action::Wait { seconds: 305 }, Action::Approve { by: 1, session: LATEST, condition: 0 }]);
        }
    }
    if dice.below(2) == 0 {
        actions.push(Action::Flow { calls: 1 + (dice.byte() & 15) });
    }
    actions
}

fn request(dice: &Dice) -> Action {
    let (user, activity, resources) = (dice.byte(), dice.byte(), dice.byte());
    Action::Request { user, activity, resources, policy: dice.byte(), start: dice.byte(), key: dice.byte() }
}

fn action(dice: &Dice) -> Action {
    let (by, session) = (dice.byte(), dice.byte());
    match dice.below(100) {
        0..14 => request(dice),
        14..20 => Action::End { by, session },
        20..24 => Action::Extend { by, session, minutes: dice.byte() },
        24..27 => Action::Retry { by, session },
        27..28 => Action::Dismiss { by, session },
        28..34 => Action::Approve { by, session, condition: dice.byte() },
        34..37 => Action::Deny { by, session },
        37..40 => Action::Lock { by, session, scope: dice.byte() },
        40..43 => Action::Unlock { session, scope: dice.byte() },
        43..48 => Action::Join { session },
        48..50 => Action::Leave { connection: by },
        50..55 => Action::Change { what: by },
        55..56 => Action::TryNow { session },
        56..64 => Action::Wait { seconds: dice.seconds() },
        64..76 => Action::Step { call: by, fate: fate(dice) },
        76..93 => Action::Flow { calls: 1 + (dice.byte() & 15) },
        93..95 => Action::Away { host: by },
        95..96 => Action::ForgeFence { session },
        _ => Action::Crash { seconds: if by & 1 == 0 { 0 } else { dice.seconds() } },
    }
}

fn fate(dice: &Dice) -> Fated {
    match dice.below(16) {
        0..3 => Fated::Well,
        3..6 => Fated::Done,
        6..8 => Fated::Cut,
        8..11 => Fated::Late,
        11 => Fated::Lost,
        12 => Fated::Unreachable,
        13 => Fated::Refused,
        14 => Fated::Tampered,
        _ => Fated::LoginRefused,
    }
}

/// The fewest actions found, within so many tries, that still fail.
pub(super) fn shrink(mut actions: Vec<Action>, tries: usize, fails: impl Fn(&[Action]) -> bool) -> Vec<Action> {
    let mut left = tries;
    let mut size = actions.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        let mut is_shorter = false;
        while from < actions.len() && left > 0 {
            let mut fewer = actions.clone();
            fewer.drain(from..(from + size).min(actions.len()));
            left -= 1;
            if fails(&fewer) {
                actions = fewer;
                is_shorter = true;
            } else {
                from += size;
            }
        }
        if left == 0 {
            break;
        }
        size = if is_shorter { size.min(actions.len()) } else { size / 2 };
    }
    actions
}

#[test]
fn a_failing_walk_shrinks_to_what_it_needs() {
    let (walk, _) = draw(7);
    let needed = [walk[1], walk[walk.len() - 1]];
    let shrunk = shrink(walk, 500, |actions| needed.iter().all(|one| actions.contains(one)));
    assert_eq!(shrunk, needed);
}
