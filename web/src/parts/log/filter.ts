// Which lines of a session's log are shown, and the same lines as a file.
import type { LogLevel, LogLine, Stage } from "../../api/view";
import { csv } from "../csv";
import { fold } from "../sessions/view";

/** From least to most important. */
export const LEVELS: LogLevel[] = ["debug", "info", "warn", "error"];

const STAGES: Record<Stage, string> = {
  request: "Request",
  pre_session: "Pre-session",
  session: "Session",
  post_session: "Post-session",
};

export function stageName(stage: Stage): string {
  return STAGES[stage];
}

/** Lines of at least this level that hold the text. */
export function findLines(lines: LogLine[], level: LogLevel, text: string): LogLine[] {
  const from = LEVELS.indexOf(level);
  const wanted = fold(text);
  return lines.filter(
    (line) =>
      LEVELS.indexOf(line.level) >= from &&
      (wanted === "" || fold(`${stageName(line.stage)}\n${line.message}`).includes(wanted)),
  );
}

/** The lines as comma separated values, times in UTC. */
export function logCsv(lines: LogLine[]): string {
  return csv([
    ["line", "time", "level", "stage", "message"],
    ...lines.map((line) => [line.line, line.at, line.level, line.stage, line.message]),
  ]);
}
