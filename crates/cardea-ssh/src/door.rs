//! Where people are let in or refused, and where each request of theirs gets its answer.
//!
//! Runs inside the SSH library's loop for one connection, so nothing here waits for a target: requests are answered at
//! once and carried out by the channel's own task, in `relay`.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cardea_domain::{Admission, Credential, Entry, GateRefusal, Login, Secret, SessionId};
use russh::{
    Channel, ChannelId, ChannelOpenFailure, Error, MethodKind, MethodSet, Pty,
    keys::Certificate,
    server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey},
};
use tokio::time::timeout;
use tracing::{debug, info};

use crate::{
    certificate, crowd::Seat, gateway::Shared, key::public_line, relay, settings::accepted_keys, visit::Visit,
    words::plain,
};

/// Channels open at once on one connection.
const CHANNELS_MAX: usize = 16;
/// For the product to say yes or no.
const ADMIT_TIME_MAX: Duration = Duration::from_secs(10);
/// Somebody who has shown no key that is known here learns this much.
const NO_KNOWN_KEY: &str = "none of your keys opens a session here. Log in as SESSION_ID@gateway with a key that is registered \
     for your user in Cardea: have your administrator register it, or choose it with `ssh -i`. Or press Launch beside the \
     session, and give the token that it shows as the password.";
/// What somebody is asked for whose keys were all refused. Programs that type passwords look for the word.
const ASK_FOR_TOKEN: &[(Cow<'static, str>, bool)] =
    &[(Cow::Borrowed("Password (yours, or the one-time token that Launch shows): "), false)];
/// What somebody is asked for who has shown a key or a password.
const ASK_FOR_FACTOR: &[(Cow<'static, str>, bool)] =
    &[(Cow::Borrowed("Code of your authenticator app, or a recovery code: "), false)];
const FACTOR_WANTED: &str = "this session takes your second factor as well, which is asked for now.";

/// The server side of one connection.
pub(crate) struct Door {
    shared: Arc<Shared>,
    visit: Arc<Visit>,
    /// What the next refusal says.
    banner: Option<String>,
    /// A known key was told why it is refused: that the keys are unknown would be untrue.
    was_told: bool,
    /// Who has shown a key or a password under which user name, and is to show a second factor.
    half: Option<(String, Admission)>,
    /// For each channel whether it has its command. The channel's task holds the other reference.
    channels: HashMap<ChannelId, Arc<AtomicBool>>,
}

impl Door {
    pub(crate) fn new(shared: Arc<Shared>, visit: Arc<Visit>) -> Self {
        Self { shared, visit, banner: None, was_told: false, half: None, channels: HashMap::new() }
    }

    async fn ask(&self, user: &str, credential: Credential) -> Result<Entry, GateRefusal> {
        let login = Login { user_name: user.to_owned(), credential, peer: self.visit.peer };
        timeout(ADMIT_TIME_MAX, self.shared.gate.admit(&login)).await.unwrap_or_else(|_| Err(busy()))
    }

    /// A seat for somebody who has proven who they are, or half of it. One who has too many connections is turned away all the same.
    fn seat(&mut self, admission: &Admission) -> Option<Seat> {
        let seat = self.shared.crowd.sit(admission.user);
        if seat.is_none() {
            info!(session.id = %admission.session, peer = %admission.peer, "Refused a log-in: too many of one user");
            let most = self.shared.crowd.seats_max();
            self.banner = Some(format!("you have {most} connections open here: close some first."));
            self.was_told = true;
        }
        seat
    }

    fn let_in(&mut self, admission: Admission, seat: Seat) -> Auth {
        info!(session.id = %admission.session, peer = %admission.peer, "`{}` is let in", admission.user_name);
        self.visit.admit(admission, seat);
        Auth::Accept
    }

    /// Somebody has shown something right.
    fn welcome(&mut self, user: &str, entry: Entry) -> Auth {
        let (Entry::Open(admission) | Entry::Factor(admission)) = &entry;
        let Some(seat) = self.seat(admission) else { return Auth::reject() };
        match entry {
            Entry::Open(admission) => self.let_in(admission, seat),
            // The seat is given up meanwhile: nobody keeps their own connections out by half a log-in.
            Entry::Factor(admission) => {
                self.half = Some((user.to_owned(), admission));
                self.visit.wait_for_factor();
                self.banner = Some(FACTOR_WANTED.to_owned());
                self.was_told = true;
                let only_factor = MethodSet::from([MethodKind::KeyboardInteractive].as_slice());
                Auth::Reject { proceed_with_methods: Some(only_factor), partial_success: true }
            }
        }
    }

    /// Somebody who was asked for a second factor has typed something. What they typed is used up, so the seat comes first.
    async fn show_factor(&mut self, half: &Admission, typed: Secret) -> Auth {
        let Some(seat) = self.seat(half) else { return Auth::reject() };
        let shown = timeout(ADMIT_TIME_MAX, self.shared.gate.show_factor(half, typed)).await;
        match shown.unwrap_or_else(|_| Err(busy())) {
            Ok(admission) => {
                self.half = None;
                self.let_in(admission, seat)
            }
            Err(refusal) => {
                info!(peer = %self.visit.peer, code = refusal.code, "Refused a log-in: {}", refusal.code);
                self.banner = Some(refusal.sentence);
                if refusal.code == GateRefusal::WRONG_FACTOR {
                    return Auth::reject();
                }
                self.half = None;
                only_keys()
            }
        }
    }

    /// What a certificate says, if it is one that may be good here.
    async fn read(&self, shown: &Certificate) -> Option<Credential> {
        let authority = timeout(ADMIT_TIME_MAX, self.shared.gate.authority()).await.ok()??;
        certificate::read(shown, &authority).map(Credential::Certificate)
    }

    /// Somebody has proven what they show.
    async fn proven(&mut self, user: &str, credential: Credential) -> Auth {
        match self.ask(user, credential).await {
            Ok(entry) => self.welcome(user, entry),
            Err(refusal) => {
                info!(peer = %self.visit.peer, code = refusal.code, "Refused a log-in: {}", refusal.code);
                if refusal.code != GateRefusal::UNKNOWN_KEY {
                    self.banner = Some(refusal.sentence);
                    self.was_told = true;
                }
                Auth::reject()
            }
        }
    }

    /// Whoever types something where a password is asked for: it is a one-time token, a password or nothing.
    async fn redeem(&mut self, user: &str, typed: Secret) -> Auth {
        let redeemed = timeout(ADMIT_TIME_MAX, self.shared.gate.redeem(user, typed, self.visit.peer)).await;
        match redeemed.unwrap_or_else(|_| Err(busy())) {
            Ok(entry) => self.welcome(user, entry),
            Err(refusal) => {
                info!(peer = %self.visit.peer, code = refusal.code, "Refused a log-in: {}", refusal.code);
                self.banner = Some(refusal.sentence);
                if refusal.code == GateRefusal::WRONG_TOKEN {
                    return Auth::reject();
                }
                self.was_told = true;
                only_keys()
            }
        }
    }

    /// Whether this is the channel's first command. It has at most one (RFC 4254 section 6.5).
    fn starts(&self, channel: ChannelId) -> bool {
        self.channels.get(&channel).is_some_and(|started| !started.swap(true, Ordering::Relaxed))
    }

    fn answer(&self, channel: ChannelId, yes: bool, session: &mut Session) -> Result<(), Error> {
        if yes { session.channel_success(channel) } else { session.channel_failure(channel) }
    }
}

impl Handler for Door {
    type Error = Error;

    /// The key is only claimed here. Yes means no more than "prove it": a known key whose owner is refused hears why
    /// only after the proof.
    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Error> {
        if !accepted_keys().contains(offer.algorithm) {
            return Ok(Auth::reject());
        }
        let credential = match offer.certificate {
            None => Credential::Key(public_line(offer.public_key)),
            Some(shown) => match self.read(shown).await {
                Some(credential) => credential,
                None => return Ok(Auth::reject()),
            },
        };
        match self.ask(user, credential).await {
            Err(refusal) if refusal.code == GateRefusal::UNKNOWN_KEY => Ok(Auth::reject()),
            Ok(_) | Err(_) => Ok(Auth::Accept),
        }
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Error> {
        Ok(self.proven(user, Credential::Key(public_line(key.public_key))).await)
    }

    async fn auth_openssh_certificate(&mut self, user: &str, shown: &Certificate) -> Result<Auth, Error> {
        Ok(match self.read(shown).await {
            Some(credential) => self.proven(user, credential).await,
            None => Auth::reject(),
        })
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Error> {
        Ok(self.redeem(user, Secret::new(password.to_owned())).await)
    }

    /// Where somebody shows a second factor, or whose keys were all refused gives a one-time token or a password, or hears what else
    /// opens a session.
    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Error> {
        let typed = response.map(|mut answers| answers.next().unwrap_or_default());
        if let Some((_, half)) = self.half.clone().filter(|(name, _)| name == user) {
            return Ok(match typed {
                None => question(ASK_FOR_FACTOR),
                Some(typed) => self.show_factor(&half, text(&typed)).await,
            });
        }
        match typed {
            None if !self.was_told && user.parse::<SessionId>().is_ok() => {
                return Ok(question(ASK_FOR_TOKEN));
            }
            Some(typed) if !typed.is_empty() => {
                let answer = self.redeem(user, text(&typed)).await;
                if self.half.is_none() {
                    return Ok(answer);
                }
                // The same exchange goes on.
                self.banner = None;
                return Ok(question(ASK_FOR_FACTOR));
            }
            None | Some(_) => {}
        }
        if !self.was_told {
            self.banner = Some(NO_KNOWN_KEY.to_owned());
        }
        Ok(only_keys())
    }

    fn rejection_banner(&mut self) -> Option<String> {
        self.banner.take().map(|sentence| format!("Cardea: {}\r\n", plain(&sentence)))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Error> {
        self.channels.retain(|_, started| Arc::strong_count(started) > 1);
        if self.channels.len() >= CHANNELS_MAX {
            debug!(peer = %self.visit.peer, "Refused a channel: {CHANNELS_MAX} are open");
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        let started = Arc::new(AtomicBool::new(false));
        self.channels.insert(channel.id(), Arc::clone(&started));
        let carried = relay::carry(channel, session.handle(), self.visit.way(), self.visit.hold());
        self.visit.channels.spawn(async move {
            carried.await;
            drop(started);
        });
        self.visit.want_target();
        reply.accept().await;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Error> {
        self.answer(channel, true, session)
    }

    /// The target's sshd decides which variables it takes.
    async fn env_request(&mut self, channel: ChannelId, _: &str, _: &str, session: &mut Session) -> Result<(), Error> {
        self.answer(channel, true, session)
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Error> {
        self.answer(channel, self.starts(channel), session)
    }

    async fn exec_request(&mut self, channel: ChannelId, _: &[u8], session: &mut Session) -> Result<(), Error> {
        self.answer(channel, self.starts(channel), session)
    }

    /// Accepted so that the channel can say why there is none: `ssh` shows nothing of a channel that it gives up itself.
    async fn subsystem_request(&mut self, channel: ChannelId, _: &str, session: &mut Session) -> Result<(), Error> {
        self.answer(channel, self.starts(channel), session)
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _single: bool,
        _protocol: &str,
        _cookie: &str,
        _screen: u32,
        session: &mut Session,
    ) -> Result<(), Error> {
        self.answer(channel, false, session)
    }
}

fn busy() -> GateRefusal {
    let sentence = "Cardea is too busy to let you in. Try again in a minute.".to_owned();
    GateRefusal { code: "busy", sentence }
}

fn question(prompts: &'static [(Cow<'static, str>, bool)]) -> Auth {
    let (name, instructions) = (Cow::Borrowed("Cardea"), Cow::Borrowed(""));
    Auth::Partial { name, instructions, prompts: Cow::Borrowed(prompts) }
}

fn text(typed: &[u8]) -> Secret {
    Secret::new(String::from_utf8_lossy(typed).into_owned())
}

fn only_keys() -> Auth {
    let only_keys = MethodSet::from([MethodKind::PublicKey].as_slice());
    Auth::Reject { proceed_with_methods: Some(only_keys), partial_success: false }
}
