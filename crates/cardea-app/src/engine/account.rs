//! Accounts that are there before the session: whose number only the host knows, and which one session at a time may have.

use cardea_domain::{ConnectorError, Grant, KnownAccount, LoginAccount, Privilege, Session, SessionId};
use cardea_store::ManagedAccount;

use super::{
    drive,
    provision::{Halt, give_up, is_untouched, reason_of},
};
use crate::{App, AppError, plan::host_of};

/// Numbers below this are the system's own.
const SYSTEM_UIDS: u32 = 1000;

impl App {
    /// Learns the number of an account that is not made for the session, and checks a kept one out. Nothing to do for others, and
    /// for who did it before.
    pub(super) async fn settle_account(&self, session: &mut Session, grants: &mut [Grant]) -> Result<(), Halt> {
        let is_begun = !grants.iter().all(is_untouched);
        let managed = grants.iter().find_map(|grant| match grant.privilege {
            Privilege::ManagedAccount { adopt, .. } => Some(adopt),
            _ => None,
        });
        let is_own = session.account.uid == 0 && !session.account.name.is_empty();
        if is_begun || (managed.is_none() && !is_own) {
            return Ok(());
        }
        let target = self.target_of_session(session, grants).await?;
        let name = session.account.name.clone();
        if name == target.user {
            return Err(refused(&format!("{name} is the service account of {target}: nobody else works with it")));
        }
        let known = self.0.linux.account(&target, self.frame(session), &name).await;
        let known = known.map_err(|error| Halt::GiveUp(reason_of("looking for the account", &error)))?;
        let uid = match (known, managed) {
            (Some(known), _) => may_be_used(&name, &known)?,
            // Made at its first check-out, with the number that was taken for it.
            (None, Some(_)) => session.account.uid,
            (None, None) => return Err(refused(&format!("there is no account {name} on {target}"))),
        };
        session.account = LoginAccount { name, uid };
        for grant in grants.iter_mut() {
            grant.account = session.account.clone();
        }
        let kept = managed.map(|_| ManagedAccount {
            host: host_of(&target),
            name: session.account.name.clone(),
            uid,
            holder: Some(session.id),
        });
        self.write_account(session, grants, kept).await
    }

    async fn write_account(
        &self,
        session: &mut Session,
        grants: &[Grant],
        kept: Option<ManagedAccount>,
    ) -> Result<(), Halt> {
        let (mut copy, grants) = (session.clone(), grants.to_vec());
        let written = self.store().write(move |tx| {
            Box::pin(async move {
                if let Some(kept) = &kept {
                    let holder = tx.check_out(kept, copy.id).await?;
                    if holder != copy.id {
                        return Ok(Err(holder));
                    }
                    tx.set_managed_uid(&kept.host, &kept.name, kept.uid).await?;
                }
                for grant in &grants {
                    tx.replan_grant(grant).await?;
                }
                tx.repin_session(&drive()?, &copy).await?;
                tx.save_session(&drive()?, &mut copy).await?;
                Ok::<_, AppError>(Ok(copy))
            })
        });
        match written.await? {
            Ok(saved) => {
                *session = saved;
                Ok(())
            }
            Err(holder) => Err(checked_out(&session.account.name, holder)),
        }
    }
}

fn may_be_used(name: &str, known: &KnownAccount) -> Result<u32, Halt> {
    if known.uid < SYSTEM_UIDS {
        return Err(refused(&format!("{name} is an account of the system (number {}): name another", known.uid)));
    }
    Ok(known.uid)
}

fn refused(sentence: &str) -> Halt {
    Halt::GiveUp(reason_of("taking the account", &ConnectorError::Refused(sentence.to_owned())))
}

fn checked_out(name: &str, holder: SessionId) -> Halt {
    give_up("checked_out", &format!("The account {name} is in use by {holder}: try again when that session is over"))
}
