// The people: who may sign in, who may not and why, and what an administrator can do when somebody cannot.
import { useQuery } from "@tanstack/react-query";
import { useDeferredValue, useMemo, useState } from "react";
import { directories as directoriesQuery, people as peopleQuery } from "../api/people";
import { me as meQuery, standingLocks } from "../api/queries";
import { Button } from "../parts/button";
import { SearchField } from "../parts/field";
import { Empty, Failure, Loading } from "../parts/loading";
import { Directories } from "../parts/people/directories";
import { PeopleList } from "../parts/people/list";
import { PersonDialog } from "../parts/people/person";
import { awayOf, find, stateOf } from "../parts/people/state";

export function PeoplePage() {
  const { data: me } = useQuery(meQuery);
  const people = useQuery(peopleQuery);
  const locks = useQuery(standingLocks);
  const directories = useQuery(directoriesQuery);
  const [text, setText] = useState("");
  const [shown, setShown] = useState<string>();
  // Typing goes first: the rows follow.
  const wanted = useDeferredValue(text);
  const found = useMemo(() => find(people.data ?? [], wanted), [people.data, wanted]);
  const person = people.data?.find((user) => user.id === shown);
  const error = people.error ?? locks.error ?? directories.error;
  const readAgain = () => Promise.all([people.refetch(), locks.refetch(), directories.refetch()]);
  const known = directories.data ?? [];
  const away = person && awayOf(person, known);
  return (
    <main className="flex min-h-0 flex-1 flex-col">
      <div className="flex flex-wrap items-center gap-3 px-4 py-3">
        <h1 className="text-lg font-semibold tracking-tight">People</h1>
        <SearchField label="Search people" value={text} onValue={setText} className="w-64 narrow:flex-1" />
        <p role="status" className="text-quiet tabular-nums">
          {people.data && `${found.length} of ${people.data.length}`}
        </p>
      </div>
      <Directories
        directories={known}
        mayLook={me?.permissions.includes("configuration.change.identity_provider") ?? false}
      />
      <div className="flex min-h-64 flex-1 flex-col border-t border-line bg-surface">
        {error && <Failure error={error} onRetry={readAgain} />}
        {!error && (people.isPending || locks.isPending) && <Loading what="the people" />}
        {people.data && locks.data && found.length > 0 && (
          <PeopleList
            users={found}
            locks={locks.data}
            directories={known}
            onOpen={(user) => setShown(user.id)}
          />
        )}
        {people.data && locks.data && found.length === 0 && (
          <Empty title={wanted ? "Nobody matches." : "There is nobody."}>
            {wanted && <Button label="Show all" onClick={() => setText("")} />}
          </Empty>
        )}
      </div>
      {me && person && locks.data && (
        <PersonDialog
          me={me}
          user={person}
          state={stateOf(person, locks.data, Date.now(), away)}
          away={away}
          lock={locks.data.find((lock) => lock.id === person.id)}
          onClose={() => setShown(undefined)}
        />
      )}
    </main>
  );
}
