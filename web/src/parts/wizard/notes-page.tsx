// Third page: why, and whatever else the profile asks for.
import type { CustomField } from "../../api/view";
import { SelectField, TextArea, TextField } from "../field";
import { customFields, labelOf, NOTES_MAX, rulesOf, TICKET_MAX } from "./rules";
import type { PageProperties } from "./wizard";

export function NotesPage({ activity, draft, faults, onChange }: PageProperties) {
  const rules = rulesOf(activity, draft);
  const needsNotes = rules.some((way) => way.require_notes);
  const needsTicket = rules.some((way) => way.require_ticket);
  return (
    <div className="flex max-w-xl flex-col gap-4">
      <TextArea
        label="Notes"
        hint={needsNotes ? "Why you need this. Kept with the session." : "Optional. Kept with the session."}
        aria-required={needsNotes}
        maxLength={NOTES_MAX}
        value={draft.notes}
        error={faults.notes}
        onChange={(event) => onChange({ notes: event.target.value })}
      />
      <TextField
        label="Ticket number"
        hint={needsTicket ? undefined : "Optional."}
        aria-required={needsTicket}
        maxLength={TICKET_MAX}
        value={draft.ticket}
        error={faults.ticket}
        autoComplete="off"
        onChange={(event) => onChange({ ticket: event.target.value })}
      />
      {customFields(rules).map((field) => (
        <Custom
          key={field.name}
          field={field}
          value={draft.custom[field.name] ?? ""}
          error={faults[`custom/${field.name}`]}
          onValue={(value) => onChange({ custom: { ...draft.custom, [field.name]: value } })}
        />
      ))}
    </div>
  );
}

type CustomProperties = {
  field: CustomField;
  value: string;
  error: string | undefined;
  onValue: (value: string) => void;
};

const TYPES = { text: "text", number: "number", date: "date" } as const;

/** A field of the profile, by its type. */
function Custom({ field, value, error, onValue }: CustomProperties) {
  const shared = {
    label: labelOf(field),
    hint: field.required ? undefined : "Optional.",
    error,
    "aria-required": field.required,
  };
  if (field.type === "boolean" || field.type === "choice") {
    const choices =
      field.type === "boolean"
        ? [
            { value: "true", name: "Yes" },
            { value: "false", name: "No" },
          ]
        : field.choices.map((choice) => ({ value: choice, name: choice }));
    return (
      <SelectField
        {...shared}
        options={[{ value: "", name: field.required ? "Choose…" : "None" }, ...choices]}
        value={value}
        onChange={(event) => onValue(event.target.value)}
      />
    );
  }
  return (
    <TextField
      {...shared}
      type={TYPES[field.type]}
      {...(field.type === "number" ? { inputMode: "numeric", step: 1 } : {})}
      autoComplete="off"
      value={value}
      onChange={(event) => onValue(event.target.value)}
    />
  );
}
