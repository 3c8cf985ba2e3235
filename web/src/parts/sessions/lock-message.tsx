// What people who meet a lock read: a title and perhaps a text.
import type { Problem } from "../../api/problem";
import { TextArea, TextField } from "../field";

const TITLE_MAX = 100;
const TEXT_MAX = 1_000;

export type MessageText = { title: string; text: string };
export const EMPTY_MESSAGE: MessageText = { title: "", text: "" };

type Faults = Partial<Record<keyof MessageText, string | undefined>>;

export function faultsOfMessage({ title }: MessageText, isChecked: boolean, problem?: Problem): Faults {
  return {
    title: isChecked && !title.trim() ? "Write what its user reads first." : problem?.field("/title"),
    text: problem?.field("/text"),
  };
}

type Properties = { message: MessageText; faults: Faults; onChange: (message: MessageText) => void };

export function MessageFields({ message, faults, onChange }: Properties) {
  return (
    <>
      <TextField
        label="Title"
        hint="What people who meet the lock read first."
        aria-required
        autoComplete="off"
        maxLength={TITLE_MAX}
        error={faults.title}
        value={message.title}
        onChange={(event) => onChange({ ...message, title: event.target.value })}
      />
      <TextArea
        label="Text"
        hint="Optional: why, and whom to ask."
        rows={2}
        maxLength={TEXT_MAX}
        error={faults.text}
        value={message.text}
        onChange={(event) => onChange({ ...message, text: event.target.value })}
      />
    </>
  );
}
