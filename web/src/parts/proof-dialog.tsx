// Asks again who somebody is, before something sensitive.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { body, client } from "../api/client";
import { askPasskey } from "../api/passkey";
import { Problem } from "../api/problem";
import { takeAsking } from "../api/proof";
import { leaveForProof } from "../api/provider";
import { me as meQuery } from "../api/queries";
import type { Method, ProofShown } from "../api/view";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { ProofForm } from "./proof-form";

type Asked = { methods: Method[]; answer: (isShown: boolean) => void };

/** Waits for calls that need a factor. Once in a page of somebody who is signed in. */
export function ProofAsker() {
  const [asked, setAsked] = useState<Asked>();
  useEffect(() => {
    let waiting: Asked["answer"] | undefined;
    const giveBack = takeAsking(
      (methods) =>
        new Promise((answer) => {
          waiting = answer;
          setAsked({ methods, answer });
        }),
    );
    return () => {
      giveBack();
      // Nobody is there any more to answer.
      waiting?.(false);
    };
  }, []);
  if (!asked) return null;
  const answer = (isShown: boolean) => {
    setAsked(undefined);
    asked.answer(isShown);
  };
  return (
    <Dialog
      title="Show who you are"
      description="This is sensitive, and you showed it some time ago."
      onClose={() => answer(false)}
      isEasy={false}
    >
      <ShowAgain methods={asked.methods} onShown={() => answer(true)}>
        <Button label="Cancel" onClick={() => answer(false)} />
      </ShowAgain>
    </Dialog>
  );
}

/** Shows a factor in the present sign-in. */
export function ShowAgain({
  methods,
  onShown,
  children,
}: {
  methods: Method[];
  onShown?: () => void;
  children?: React.ReactNode;
}) {
  const queries = useQueryClient();
  const show = useMutation({
    mutationFn: async ({ method, text }: { method: Method; text: string }) => {
      if (method === "provider") return leaveForProof();
      const shown = (
        method === "passkey" ? { passkey: await askPasskey() } : { [method]: text }
      ) as ProofShown;
      return body(client.POST("/api/v1/me/proof", { body: shown }));
    },
    onSuccess: (me) => {
      queries.setQueryData(meQuery.queryKey, me);
      onShown?.();
    },
    gcTime: 0,
  });
  return (
    <ProofForm
      methods={methods}
      label="Continue"
      problem={show.error ? Problem.from(show.error) : undefined}
      isPending={show.isPending}
      onShow={(method, text) => show.mutate({ method, text })}
    >
      {children}
    </ProofForm>
  );
}
