//! Marks: what Cardea's things on a target carry, seen from the target's side.

use crate::GrantId;

/// Something on a target that carries a mark of Cardea. Nothing here is proven: only the token tells whether it is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The kind of privilege on the wire: see `Privilege::kind`.
    pub kind: String,
    /// The grant that the mark names.
    pub grant: GrantId,
    /// The token beside it, hex.
    pub token: String,
    /// The account that it belongs to, as far as the target knows.
    pub account: Option<String>,
    pub uid: Option<u32>,
    /// What the privilege is about beside the account: a group's name.
    pub subject: Option<String>,
    /// Where it was found, in a form that a person can check.
    pub detail: String,
}
