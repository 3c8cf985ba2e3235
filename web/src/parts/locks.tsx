// What is locked as a whole: the users and resources, and a way to lock and unlock them.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Lock, LockOpen } from "lucide-react";
import { type FormEvent, useState } from "react";
import { body, client } from "../api/client";
import { Problem } from "../api/problem";
import { standingLocks } from "../api/queries";
import type { Me, NewLock, StandingLock } from "../api/view";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { SelectField, TextField } from "./field";
import { Empty, Failure, Loading } from "./loading";
import { Notice, useSay } from "./notice";
import { EMPTY_MESSAGE, faultsOfMessage, MessageFields } from "./sessions/lock-message";
import { fullTime } from "./time";

const NAME_MAX = 64;

/** The number, as a button that opens the list; for those who see everything. */
export function LocksTile({ onOpen }: { onOpen: () => void }) {
  const locks = useQuery(standingLocks);
  const count = locks.data?.length ?? 0;
  return (
    <button
      type="button"
      onClick={onOpen}
      className="flex h-8 items-center gap-2 rounded-md border border-line bg-surface px-3 hover:bg-hover"
    >
      <Lock size={15} className={count > 0 ? "text-bad" : "text-quiet"} aria-hidden="true" />
      <span>
        Locked<span className="narrow:sr-only"> as a whole</span>:{" "}
        <b className="tabular-nums">{locks.data ? count : "…"}</b>
      </span>
    </button>
  );
}

export function LocksWindow({ me, onClose }: { me: Me; onClose: () => void }) {
  const locks = useQuery(standingLocks);
  const mayLock = me.permissions.includes("users.lock") || me.permissions.includes("resources.lock");
  return (
    <Dialog
      size="large"
      title="Locked as a whole"
      description="The users and resources whose sessions all stand still. A locked user gets in nowhere, and nothing begins on a locked resource."
      onClose={onClose}
    >
      <div className="flex flex-col gap-6">
        {locks.isPending && <Loading what="the locks" />}
        {locks.isError && !locks.data && <Failure error={locks.error} onRetry={() => locks.refetch()} />}
        {locks.data?.length === 0 && <Empty title="No user and no resource is locked." />}
        {locks.data && locks.data.length > 0 && (
          <ul
            aria-label="Standing locks"
            className="divide-y divide-line rounded-md border border-line bg-surface"
          >
            {locks.data.map((lock) => (
              <Standing key={lock.id} lock={lock} mayLock={mayLock} />
            ))}
          </ul>
        )}
        {mayLock && <NewStanding />}
      </div>
    </Dialog>
  );
}

function Standing({ lock, mayLock }: { lock: StandingLock; mayLock: boolean }) {
  const queries = useQueryClient();
  const say = useSay();
  const unlock = useMutation({
    mutationFn: () => body(client.DELETE("/api/v1/locks/{id}", { params: { path: { id: lock.id } } })),
    onSuccess: () => {
      say(`${lock.name} is unlocked.`);
      return queries.invalidateQueries({ queryKey: standingLocks.queryKey });
    },
  });
  return (
    <li className="flex flex-wrap items-start gap-x-4 gap-y-2 px-3 py-2">
      <div className="min-w-0 flex-1 basis-64 break-words">
        <p>
          <span className="text-quiet">{lock.kind} </span>
          <span className="font-semibold">{lock.name}</span>
        </p>
        <p>
          <span className="font-medium">{lock.title}</span>
          {lock.text && `: ${lock.text}`}
        </p>
        <p className="text-quiet">
          by {lock.by}, {fullTime(lock.at)}
        </p>
        {unlock.error && <Notice tone="bad">{Problem.from(unlock.error).message}</Notice>}
      </div>
      {mayLock && (
        <Button
          label="Unlock"
          aria-label={`Unlock ${lock.name}`}
          icon={LockOpen}
          disabled={unlock.isPending}
          onClick={() => unlock.mutate()}
        />
      )}
    </li>
  );
}

function NewStanding() {
  const queries = useQueryClient();
  const say = useSay();
  const [kind, setKind] = useState<"user" | "resource">("user");
  const [name, setName] = useState("");
  const [message, setMessage] = useState(EMPTY_MESSAGE);
  const [isChecked, setChecked] = useState(false);
  const lock = useMutation({
    mutationFn: (wish: NewLock) => body(client.POST("/api/v1/locks", { body: wish })),
    onSuccess: (made) => {
      say(`${made.name} is locked.`);
      setName("");
      setMessage(EMPTY_MESSAGE);
      setChecked(false);
      return queries.invalidateQueries({ queryKey: standingLocks.queryKey });
    },
  });
  const problem = lock.error ? Problem.from(lock.error) : undefined;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (!name.trim() || !message.title.trim()) return;
    lock.mutate({ [kind]: name.trim(), title: message.title.trim(), text: message.text.trim() });
  };
  return (
    <form
      noValidate
      onSubmit={submit}
      aria-labelledby="lock-whole"
      className="flex max-w-xl flex-col gap-3 border-t border-line pt-4"
    >
      <h3 id="lock-whole" className="text-base font-semibold">
        Lock a user or a resource
      </h3>
      <div className="grid gap-3 wide:grid-cols-[10rem_1fr]">
        <SelectField
          label="What"
          value={kind}
          options={[
            { value: "user", name: "User" },
            { value: "resource", name: "Resource" },
          ]}
          onChange={(event) => setKind(event.target.value === "user" ? "user" : "resource")}
        />
        <TextField
          label="Name"
          aria-required
          autoComplete="off"
          maxLength={NAME_MAX}
          error={isChecked && !name.trim() ? "Write its name." : problem?.field(`/${kind}`)}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
      </div>
      <MessageFields
        message={message}
        faults={faultsOfMessage(message, isChecked, problem)}
        onChange={setMessage}
      />
      {problem && problem.fields.length === 0 && <Notice tone="bad">{problem.message}</Notice>}
      <Button
        look="danger"
        type="submit"
        label="Lock"
        icon={Lock}
        disabled={lock.isPending}
        className="self-start"
      />
    </form>
  );
}
