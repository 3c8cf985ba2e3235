// One session by itself, whichever list it is on: where links to it lead.
import { useQuery } from "@tanstack/react-query";
import { oneSession } from "../../api/queries";
import { Dialog } from "../dialog";
import { Empty, Failure, Loading } from "../loading";
import { StatusMark } from "../status";
import { nameOf } from "./context";
import { DetailParts } from "./detail";

export function SessionWindow({ id, onClose }: { id: string; onClose: () => void }) {
  const query = useQuery(oneSession(id));
  const session = query.data?.get(id);
  return (
    <Dialog
      size="large"
      title={session ? nameOf(session) : "Session"}
      description={session ? `${session.user}, ${session.login_account}` : id}
      onClose={onClose}
    >
      {query.isPending && <Loading what="the session" />}
      {query.isError && !query.data && <Failure error={query.error} onRetry={() => query.refetch()} />}
      {query.data && !session && <Empty title="This session is not there any more." />}
      {session && (
        <div className="flex flex-col gap-3">
          <StatusMark status={session.status} />
          <DetailParts session={session} />
        </div>
      )}
    </Dialog>
  );
}
