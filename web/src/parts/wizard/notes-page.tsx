// Third page: why.
import { TextArea, TextField } from "../field";
import { NOTES_MAX, rulesOf, TICKET_MAX } from "./rules";
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
    </div>
  );
}
