//! Words, rules and ports of Cardea. No IO, no runtime, no clock and no randomness: they come in as arguments.
//!
//! Everything here is a plain value or a pure decision about values. The layers around it (store, connectors,
//! gateway, HTTP) translate to and from these types and never add rules of their own.

mod access;
mod account;
mod action;
mod actor;
mod approval;
mod configuration;
mod connector;
mod directory;
mod drift;
mod entropy;
mod factor;
mod fail_point;
mod gate;
mod grant;
mod id;
mod mark;
mod name;
mod notice;
mod openid;
mod permission;
mod review;
mod role;
mod schedule;
mod secret;
mod session;
mod spec;
mod time;
mod token_scope;

pub use access::{Denial, Permit, Verb};
pub use account::{AccountTemplate, LoginAccount, UidRange};
pub use action::{
    Action, AddSudoRule, AddToGroup, Argument, AuthorizeKey, FreshPassword, Given, LogOffUser, Membership, PersonalKey,
    RunScript, SetPassword, StageEntry,
};
pub use actor::{Actor, Via};
pub use approval::{
    Approval, ApprovalSpec, Asked, AskedEscalation, AskedTier, Decision, Escalation, MANAGER, OwnChange, Question,
    Shortage, Tier, Wish,
};
pub use configuration::{
    Absence, AbsenceReason, Approves, Configuration, Finding, GivenMembership, Looks, Object, Offer, Reference,
    Revision,
};
pub use connector::{
    Connector, ConnectorError, Credentials, Elevation, Evidence, Frame, KnownAccount, Locked, LogIn, Observation,
    Order, Placed, Presence, ScanFinding, Script, ScriptOutcome, Target,
};
pub use directory::{
    Directories, Directory, DirectoryFault, DirectoryPerson, DirectoryUrl, DirectoryVerdict, Searcher, Sought,
    check_filter, fold_dn,
};
pub use drift::{Depth, Drift, DriftMark, Snapshot, drift};
pub use entropy::Entropy;
pub use factor::Method;
pub use fail_point::fail_point;
#[cfg(feature = "fail-points")]
pub use fail_point::{FailPointHook, on_fail_points};
pub use gate::{
    Admission, Certificate, ClosedConnection, Credential, EndNotice, Entry, Gate, GateRefusal, Lease, Login, Word,
};
pub use grant::{Grant, GrantState, Privilege, Undo};
pub use id::{
    ApprovalId, ConnectionId, GrantId, IdError, InvitationId, NoticeId, ObjectId, OwnKeyId, PasskeyId, RequestId,
    SecretId, SessionId, SignInId, TokenId,
};
pub use mark::Mark;
pub use name::{Name, NameError, fold, is_unprintable, look};
pub use notice::{Courier, Facts, Mail, NoticeKind, NoticeState, Post, is_mail_address};
pub use openid::{OpenId, OpenIdCode, OpenIdFault, OpenIdLeaver, OpenIdPerson, OpenIdProvider, OpenIdQuestion};
pub use permission::{Concern, Holder, Permission};
pub use review::{BreakGlassSpec, Review, ReviewFinding, Verdict};
pub use role::{CustomRole, Reach, Role, Scope};
pub use schedule::{Day, Schedule, Window};
pub use secret::Secret;
pub use session::{
    Claim, CustomField, CustomValues, DirectLogin, EndCause, Extension, FieldType, GroupProcesses, Lane, Leftovers,
    Lock, LockScope, LockStage, LogLevel, LogLine, OnChange, PasswordAccess, Pins, Progress, Reason, Refusal, Room,
    Rules, Session, Stage, Status,
};
pub use spec::{
    AccessPolicySpec, ActivitySpec, ConnectAuth, ConnectionProfileSpec, FieldError, GroupSpec, IdentityProtocol,
    IdentityProviderSpec, Kind, LdapSpec, LoginAccountSpec, OidcClaims, OidcSpec, Platform, Protocol,
    ResourceGroupSpec, ResourceSpec, RoleSpec, ScopeSpec, SecretField, SecretInput, ServiceAccountSpec, Spec,
    UserIdentity, UserSpec, is_public_key,
};
pub use time::{Clock, Period, Timestamp};
pub use token_scope::{TokenScope, TokenScopes};
