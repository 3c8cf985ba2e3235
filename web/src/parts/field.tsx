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

/** One of several. */
export function SelectField({
  label,
  hint,
  error,
  options,
  ...rest
}: Shared & { options: { value: string; name: string }[] } & ComponentProps<"select">) {
  const id = useId();
  return (
    <Frame label={label} hint={hint} error={error} id={id} isRequired={rest["aria-required"] === true}>
      <select
        id={id}
        aria-invalid={Boolean(error)}
        aria-describedby={described(id, { label, hint, error })}
        {...rest}
        className={`${BOX} h-8 py-0 ${error ? "border-bad" : "border-edge"}`}
      >
        {options.map(({ value, name }) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </select>
    </Frame>
  );
}

/** One of few, each with what it means. */
export function RadioField<T extends string>({
  label,
  name,
  value,
  onChoose,
  options,
}: {
  label: string;
  name: string;
  value: T;
  onChoose: (value: T) => void;
  options: { value: T; name: string; meaning: string; isOff?: boolean }[];
}) {
  return (
    <fieldset className="flex flex-col gap-2">
      <legend className="mb-1 font-medium">{label}</legend>
      {options.map((option) => (
        <label
          key={option.value}
          className={`flex gap-3 rounded-md border p-3 ${option.isOff ? "text-quiet" : "hover:bg-hover"} ${option.value === value ? "border-accent bg-chosen" : "border-line bg-surface"}`}
        >
          <input
            type="radio"
            name={name}
            className="mt-0.5 size-4 shrink-0"
            checked={option.value === value}
            disabled={option.isOff}
            onChange={() => onChoose(option.value)}
          />
          <span className="min-w-0">
            <span className="block font-semibold break-words">{option.name}</span>
            <span className="block text-quiet">{option.meaning}</span>
          </span>
        </label>
      ))}
    </fieldset>
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
