// Who is signed in decides what is shown: the product, or the way in.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Outlet, useLocation, useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { body, client } from "../api/client";
import type { ListName } from "../api/lists";
import { useLive } from "../api/live";
import { me as meQuery } from "../api/queries";
import type { Me } from "../api/view";
import { Alerts } from "../parts/alerts";
import { Button } from "../parts/button";
import { Enrolment } from "../parts/enrolment";
import { Front } from "../parts/front";
import { Header } from "../parts/header";
import { Failure, Loading } from "../parts/loading";
import { Notice } from "../parts/notice";
import { PasskeyForm } from "../parts/passkey-form";
import { ProofAsker, ShowAgain } from "../parts/proof-dialog";
import { SignInEnd, SignInWatch } from "../parts/sign-in-end";
import { SessionsPage } from "./sessions";

/** Whoever is not signed in is sent to the sign-in page, and back to where they wanted to go afterwards. */
export function SignedIn() {
  const me = useQuery(meQuery);
  const { href } = useLocation();
  if (me.data) {
    return (
      <SignInWatch me={me.data}>
        {me.data.sign_in?.must ? <Incomplete me={me.data} /> : <Signed me={me.data} />}
        <ProofAsker />
      </SignInWatch>
    );
  }
  if (me.data === null)
    return <Go to={href === "/" ? "/sign-in" : `/sign-in?next=${encodeURIComponent(href)}`} />;
  return <Waiting />;
}

/** Whoever is signed in has nothing to do on the way in. */
export function SignedOut() {
  const me = useQuery(meQuery);
  const { search } = useLocation();
  const { next } = search as { next?: string };
  if (me.data) return <Go to={isLocal(next) ? next : "/"} />;
  if (me.data === null) return <Outlet />;
  return <Waiting />;
}

/** Goes elsewhere, once. */
function Go({ to }: { to: string }) {
  const navigate = useNavigate();
  const [href] = useState(to);
  useEffect(() => {
    navigate({ href, replace: true });
  }, [navigate, href]);
  return null;
}

function Signed({ me }: { me: Me }) {
  const link = useLive();
  return (
    <div className="flex h-full flex-col">
      <Header me={me} link={link} />
      <SignInEnd />
      <Outlet />
      <Alerts />
    </div>
  );
}

/** Whoever must have a second factor sets it up, or shows it, before anything else. */
export function Incomplete({ me }: { me: Me }) {
  const queries = useQueryClient();
  const signOut = useMutation({
    mutationFn: () => body(client.POST("/api/v1/sign-out")),
    onSuccess: () => queries.setQueryData(meQuery.queryKey, null),
  });
  const isNew = me.sign_in?.must === "enrol";
  return (
    <Front title={isNew ? "Set up your second factor" : "Show your second factor"}>
      <div className="flex flex-col gap-4">
        <p className="text-quiet">
          {me.user}, your role or a group of yours must have one. Nothing else can be done before.
        </p>
        {isNew ? (
          <FirstFactor onDone={() => queries.invalidateQueries({ queryKey: meQuery.queryKey })} />
        ) : (
          <ShowAgain methods={me.sign_in?.methods ?? []} />
        )}
        <Button look="bare" label="Sign out" onClick={() => signOut.mutate()} />
      </div>
    </Front>
  );
}

/** An authenticator app or a passkey, as the person likes. */
function FirstFactor({ onDone }: { onDone: () => void }) {
  const [isPasskey, setPasskey] = useState(false);
  // What is shown once by then must not go away by a click.
  const [isMade, setMade] = useState(false);
  const onMade = () => setMade(true);
  return (
    <>
      {isPasskey ? (
        <PasskeyForm onMade={onMade} onDone={onDone} />
      ) : (
        <Enrolment onMade={onMade} onDone={onDone} />
      )}
      {!isMade && (
        <Button
          label={isPasskey ? "Use an app in place of a passkey" : "Use a passkey in place of an app"}
          onClick={() => setPasskey(!isPasskey)}
        />
      )}
    </>
  );
}

/** The page of a list. Nothing of it is left when another person signs in. */
export function ListPage({ list }: { list: ListName }) {
  const me = useQuery(meQuery);
  return me.data ? <SessionsPage key={`${list} ${me.data.user}`} list={list} me={me.data} /> : null;
}

function Waiting() {
  const me = useQuery(meQuery);
  if (me.isError) return <Failure error={me.error} onRetry={() => me.refetch()} />;
  return (
    <div className="flex h-full flex-col items-center justify-center gap-3">
      <Loading what="Cardea" />
      {me.failureCount > 0 && <Notice tone="warn">Cardea does not answer. Trying again.</Notice>}
    </div>
  );
}

/** Only a path of this site: a link must not send people elsewhere after they signed in. */
function isLocal(path: string | undefined): path is string {
  return path?.startsWith("/") === true && !path.startsWith("//") && !path.includes("\\");
}
