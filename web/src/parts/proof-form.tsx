// One way to show who one is: a passkey, a code of the app, a recovery code, the password, or where one signed in.
import { type FormEvent, type ReactNode, useState } from "react";
import type { Problem } from "../api/problem";
import type { Method } from "../api/view";
import { Button } from "./button";
import { TextField } from "./field";
import { Notice } from "./notice";

/** What comes without a text. */
const UNTYPED = {
  passkey: { label: "Use a passkey", hint: "Your browser asks for your finger, your face or a PIN." },
  provider: {
    label: "Show it where you signed in",
    hint: "You are taken to where you signed in, and come back to this page. What is typed here is lost.",
  },
} as const;

const FIELDS = {
  totp: {
    label: "Code",
    hint: "Six digits, from your authenticator app.",
    other: "Use the authenticator app",
    input: { inputMode: "numeric", autoComplete: "one-time-code", maxLength: 16 },
  },
  recovery_code: {
    label: "Recovery code",
    hint: "One of those that you kept when you set the second factor up. Each works once.",
    other: "Use a recovery code",
    input: { autoComplete: "off", spellCheck: false, autoCapitalize: "none", maxLength: 64 },
  },
  password: {
    label: "Password",
    hint: undefined,
    other: "Use the password",
    input: { type: "password", autoComplete: "current-password", maxLength: 1024 },
  },
} as const;

type Properties = {
  methods: Method[];
  label: string;
  problem: Problem | undefined;
  isPending: boolean;
  /** A passkey and a provider come without a text. */
  onShow: (method: Method, text: string) => void;
  /** More buttons. */
  children?: ReactNode;
};

export function ProofForm({ methods, label, problem, isPending, onShow, children }: Properties) {
  const [method, setMethod] = useState<Method>(methods[0] ?? "password");
  const [text, setText] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setText("");
    onShow(method, text);
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && <Notice tone="bad">{problem.message}</Notice>}
      {isUntyped(method) ? (
        <p>{UNTYPED[method].hint}</p>
      ) : (
        <ProofField key={method} method={method} text={text} onText={setText} />
      )}
      <div className="flex flex-wrap items-center justify-end gap-2">
        {methods
          .filter((other) => other !== method)
          .map((other) => (
            <Button
              key={other}
              look="bare"
              label={isUntyped(other) ? UNTYPED[other].label : FIELDS[other].other}
              onClick={() => {
                setText("");
                setMethod(other);
              }}
            />
          ))}
        {children}
        <Button
          key={method}
          type="submit"
          look="primary"
          label={isUntyped(method) ? UNTYPED[method].label : label}
          autoFocus={isUntyped(method)}
          disabled={isPending}
        />
      </div>
    </form>
  );
}

function isUntyped(method: Method): method is keyof typeof UNTYPED {
  return method in UNTYPED;
}

type FieldProperties = { method: keyof typeof FIELDS; text: string; onText: (text: string) => void };

function ProofField({ method, text, onText }: FieldProperties) {
  const { label, hint, input } = FIELDS[method];
  return (
    <TextField
      label={label}
      hint={hint}
      name={method}
      autoFocus
      required
      {...input}
      value={text}
      onChange={(event) => onText(event.target.value)}
    />
  );
}
