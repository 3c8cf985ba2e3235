// A labelled input with its hint and its error beside it, tied together for screen readers.
import { type ComponentProps, type ReactNode, useId } from "react";

const BOX = "w-full rounded-md border bg-surface px-2.5 py-1.5 text-ink placeholder:text-quiet";

type Shared = { label: string; hint?: string | undefined; error?: string | undefined };

function Frame({
  label,
  hint,
  error,
  id,
  children,
  isRequired,
}: Shared & { id: string; children: ReactNode; isRequired?: boolean | undefined }) {
  return (
    <div className="flex flex-col gap-1">
      <label htmlFor={id} className="font-medium">
        {label}
        {isRequired && <span className="font-normal text-quiet"> (required)</span>}
      </label>
      {children}
      {hint && !error && (
        <p id={`${id}-hint`} className="text-quiet">
          {hint}
        </p>
      )}
      <FieldError id={`${id}-error`} error={error} />
    </div>
  );
}

/** What is wrong with a field; said aloud when it appears. */
export function FieldError({ id, error }: { id?: string; error: string | undefined }) {
  return (
    <p id={id} role="alert" className={error ? "font-medium text-bad" : "hidden"}>
      {error}
    </p>
  );
}

function described(id: string, { hint, error }: Shared): string | undefined {
  const ids = [hint && !error && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  return ids || undefined;
}

/** One line of text. */
export function TextField({ label, hint, error, className = "", ...rest }: Shared & ComponentProps<"input">) {
  const id = useId();
  return (
    <Frame label={label} hint={hint} error={error} id={id} isRequired={rest["aria-required"] === true}>
      <input
        id={id}
        aria-invalid={Boolean(error)}
        aria-describedby={described(id, { label, hint, error })}
        {...rest}
        className={`${BOX} h-8 ${error ? "border-bad" : "border-edge"} ${className}`}
      />
    </Frame>
  );
}

/** Several lines of text. */
export function TextArea({ label, hint, error, ...rest }: Shared & ComponentProps<"textarea">) {
  const id = useId();
  return (
    <Frame label={label} hint={hint} error={error} id={id} isRequired={rest["aria-required"] === true}>
      <textarea
        id={id}
        rows={4}
        aria-invalid={Boolean(error)}
        aria-describedby={described(id, { label, hint, error })}
        {...rest}
        className={`${BOX} ${error ? "border-bad" : "border-edge"}`}
      />
    </Frame>
  );
}

/** A filter: its label is for screen readers, its placeholder for everybody else. */
export function SearchField({
  label,
  value,
  onValue,
  className = "",
  ...rest
}: { label: string; value: string; onValue: (value: string) => void } & Omit<
  ComponentProps<"input">,
  "value"
>) {
  return (
    <input
      type="search"
      aria-label={label}
      placeholder={label}
      value={value}
      autoComplete="off"
      spellCheck={false}
      maxLength={200}
      {...rest}
      onChange={(event) => onValue(event.target.value)}
      className={`h-8 min-w-0 shrink-0 rounded-md border border-edge bg-surface px-2.5 text-ink placeholder:text-quiet ${className}`}
    />
  );
}
