// One person: what there is to know of how they sign in, and what an administrator can do about it.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { body, client } from "../../api/client";
import { factorsOf, people, signInsOf } from "../../api/people";
import { standingLocks } from "../../api/queries";
import type { Me, StandingLock, User } from "../../api/view";
import { Entry } from "../account";
import { Button } from "../button";
import { Confirm } from "../confirm";
import { Dialog } from "../dialog";
import { Failure, Loading } from "../loading";
import { fullTime } from "../time";
import { Keys } from "./keys";
import { LockPerson } from "./lock-person";
import { type Away, type State, stateText } from "./state";

type Properties = {
  me: Me;
  user: User;
  state: State;
  away: Away | undefined;
  lock: StandingLock | undefined;
  onClose: () => void;
};
type Act = "end" | "invite" | "lock" | "reset" | "unlock";

export function PersonDialog({ me, user, state, away, lock, onClose }: Properties) {
  const [act, setAct] = useState<Act>();
  const may = (permission: Me["permissions"][number]) => me.permissions.includes(permission);
  const isOther = user.name !== me.user;
  return (
    <Dialog title={user.name} description={user.spec.full_name} onClose={onClose}>
      <div className="flex flex-col gap-4 break-words">
        <p>
          {stateText(user, state, away)}
          {lock && `: ${lock.title}, by ${lock.by}, ${fullTime(lock.at)}`}
          <span className="block text-quiet">{user.spec.email || "No mail address"}</span>
          <span className="block text-quiet">{user.spec.roles.join(", ")}</span>
          {user.spec.identity && (
            <span className="block text-quiet">Signs in by {user.spec.identity.provider}</span>
          )}
        </p>
        {may("sign_ins.see") && <SignedIn user={user} />}
        {may("sign_ins.see") && <Keys name={user.name} mayRemove={may("factors.reset")} />}
        <div className="flex flex-wrap gap-2">
          {may("factors.reset") && <Button label="Reset second factor" onClick={() => setAct("reset")} />}
          {may("sign_ins.end") && <Button label="End sign-ins" onClick={() => setAct("end")} />}
          {may("configuration.change.user") &&
            user.spec.email &&
            !user.spec.identity &&
            state === "active" && <Button label="Invite again" onClick={() => setAct("invite")} />}
          {may("users.lock") && lock && <Button label="Unlock" onClick={() => setAct("unlock")} />}
          {may("users.lock") && !lock && isOther && (
            <Button look="danger" label="Lock" onClick={() => setAct("lock")} />
          )}
        </div>
      </div>
      {act && <Acting act={act} user={user} lock={lock} onClose={() => setAct(undefined)} />}
    </Dialog>
  );
}

function SignedIn({ user: { name } }: { user: User }) {
  const factors = useQuery(factorsOf(name));
  const signIns = useQuery(signInsOf(name));
  const error = factors.error ?? signIns.error;
  const readAgain = () => Promise.all([factors.refetch(), signIns.refetch()]);
  if (error) return <Failure error={error} onRetry={readAgain} />;
  if (!factors.data || !signIns.data) return <Loading what="the second factor and the sign-ins" />;
  const { totp_since, passkeys, required } = factors.data;
  const kinds = [
    totp_since && `authenticator app since ${fullTime(totp_since)}`,
    passkeys.length === 1 && "1 passkey",
    passkeys.length > 1 && `${passkeys.length} passkeys`,
  ].filter(Boolean);
  return (
    <>
      <p>
        Second factor: {kinds.join(" and ") || "none"}
        {required && ", and they must have one"}.
      </p>
      <div>
        <p className="font-medium">
          {signIns.data.length === 0 ? "Signed in nowhere now." : "Signed in now"}
        </p>
        <ul aria-label="Sign-ins" className="max-h-48 divide-y divide-line overflow-auto">
          {signIns.data.map((one) => (
            <Entry
              key={one.id}
              title={one.peer}
              lines={[
                one.agent || "A program without a name",
                `Since ${fullTime(one.created_at)}, last used ${fullTime(one.last_seen_at)}`,
              ]}
            />
          ))}
        </ul>
      </div>
    </>
  );
}

type ActingProperties = { act: Act; user: User; lock: StandingLock | undefined; onClose: () => void };

function Acting({ act, user: { name, spec }, lock, onClose }: ActingProperties) {
  const queries = useQueryClient();
  const onDone = () => {
    for (const queryKey of [people.queryKey, ["person", name], standingLocks.queryKey])
      queries.invalidateQueries({ queryKey });
  };
  const path = { params: { path: { name } } };
  const shared = { onDone, onClose };
  if (act === "lock") return <LockPerson name={name} {...shared} />;
  if (act === "reset") {
    return (
      <Confirm
        title={`Reset the second factor of ${name}?`}
        label="Reset"
        act={() => body(client.DELETE("/api/v1/users/{name}/factors", path))}
        done={() => `The second factor of ${name} is off.`}
        {...shared}
      >
        For whoever lost it. All their sign-ins end, and the next one takes the password alone: be sure that
        it is {name} who asks.
      </Confirm>
    );
  }
  if (act === "end") {
    return (
      <Confirm
        title={`End the sign-ins of ${name}?`}
        label="End sign-ins"
        act={() => body(client.POST("/api/v1/sign-ins/end", { body: { user: name, own_too: false } }))}
        done={({ ended }) => (ended === 1 ? "1 sign-in is over." : `${ended} sign-ins are over.`)}
        {...shared}
      >
        They have to sign in again in every browser. Their tokens and sessions go on.
      </Confirm>
    );
  }
  if (act === "invite") {
    return (
      <Confirm
        title={`Invite ${name} again?`}
        label="Send the invitation"
        isHarmless
        act={() => body(client.POST("/api/v1/users/{name}/invite", path))}
        done={({ email }) => `The invitation is on its way to ${email}.`}
        {...shared}
      >
        {spec.email} gets a link to choose a password. A link that was sent before does not work any more.
      </Confirm>
    );
  }
  return (
    <Confirm
      title={`Unlock ${name}?`}
      label="Unlock"
      isHarmless
      act={() => body(client.DELETE("/api/v1/locks/{id}", { params: { path: { id: lock?.id ?? name } } }))}
      done={() => `${name} is unlocked.`}
      {...shared}
    >
      They can sign in again, and their sessions go on.
    </Confirm>
  );
}
