// Asks once more before something that cannot be taken back, and shows why if it does not work.
import { useMutation } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Problem } from "../api/problem";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { Notice, useSay } from "./notice";

type Properties<T> = {
  title: string;
  /** What follows from it. */
  children: ReactNode;
  /** What the button says: the act. */
  label: string;
  isHarmless?: boolean;
  act: () => Promise<T>;
  /** What is said when it is done. */
  done: (answer: T) => string;
  /** Reads anew what is different now. */
  onDone: () => void;
  onClose: () => void;
};

export function Confirm<T>({
  title,
  children,
  label,
  isHarmless = false,
  act,
  done,
  onDone,
  onClose,
}: Properties<T>) {
  const say = useSay();
  const doing = useMutation({
    mutationFn: act,
    onSuccess: (answer) => {
      say(done(answer));
      onDone();
      onClose();
    },
  });
  return (
    <Dialog
      title={title}
      onClose={onClose}
      footer={
        <>
          <Button label="Cancel" onClick={onClose} />
          <Button
            look={isHarmless ? "primary" : "danger"}
            label={label}
            disabled={doing.isPending}
            onClick={() => doing.mutate()}
          />
        </>
      }
    >
      <div className="flex flex-col gap-3">
        <p>{children}</p>
        {doing.error && <Notice tone="bad">{Problem.from(doing.error).message}</Notice>}
      </div>
    </Dialog>
  );
}
