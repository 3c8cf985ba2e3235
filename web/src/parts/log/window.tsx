// The log of one session: live while it is open, filtered by level and text, and to take away as a file.
import { useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { Download } from "lucide-react";
import { useMemo, useRef, useState } from "react";
import { sessionLog } from "../../api/queries";
import type { LogLevel, LogLine, Session } from "../../api/view";
import { Button } from "../button";
import { download } from "../csv";
import { Dialog } from "../dialog";
import { SearchField } from "../field";
import { Empty, Failure, Loading } from "../loading";
import { fullTime, preciseTime } from "../time";
import { findLines, LEVELS, logCsv, stageName } from "./filter";

const LINE_HEIGHT = 28;
const OVERSCAN = 20;

const LOOKS: Record<LogLevel, string> = {
  debug: "text-quiet",
  info: "text-ink",
  warn: "font-semibold text-warn",
  error: "font-semibold text-bad",
};

export function LogWindow({ session, onClose }: { session: Session; onClose: () => void }) {
  const log = useQuery(sessionLog(session.id));
  const [level, setLevel] = useState<LogLevel>("info");
  const [text, setText] = useState("");
  const lines = useMemo(() => findLines(log.data ?? [], level, text), [log.data, level, text]);
  return (
    <Dialog
      size="large"
      title="Session Logs"
      description={`${session.activity} on ${session.resource}, ${session.user}, ${session.id}`}
      onClose={onClose}
    >
      <div className="flex flex-wrap items-center gap-2 pb-3">
        <SearchField label="Search log" value={text} onValue={setText} className="w-56 narrow:w-full" />
        <label className="flex items-center gap-1.5">
          <span className="text-quiet">Level</span>
          <select
            className="h-8 rounded-md border border-edge bg-surface px-2"
            value={level}
            onChange={(event) => setLevel(event.target.value as LogLevel)}
          >
            {LEVELS.map((each, index) => (
              <option key={each} value={each}>
                {index === 0 ? "all" : each === "error" ? "error" : `${each} and above`}
              </option>
            ))}
          </select>
        </label>
        <span className="flex-1 text-quiet tabular-nums" role="status">
          {log.data && `${lines.length} of ${log.data.length} lines`}
        </span>
        <Button
          label="Download CSV"
          icon={Download}
          disabled={lines.length === 0}
          onClick={() => download(`${session.id}-log.csv`, "text/csv;charset=utf-8", logCsv(lines))}
        />
      </div>
      {log.isPending ? <Loading what="the log" /> : null}
      {log.isError && !log.data ? <Failure error={log.error} onRetry={() => log.refetch()} /> : null}
      {log.data && lines.length === 0 ? <Empty title="No line matches." /> : null}
      {lines.length > 0 && <Lines lines={lines} />}
    </Dialog>
  );
}

function Lines({ lines }: { lines: LogLine[] }) {
  const scroller = useRef<HTMLElement>(null);
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    getItemKey: (index) => lines[index]?.line ?? index,
    estimateSize: () => LINE_HEIGHT,
    overscan: OVERSCAN,
  });
  return (
    <section
      ref={scroller}
      aria-label="Log lines"
      tabIndex={0}
      className="min-h-0 flex-1 overflow-auto rounded-md border border-line bg-surface"
    >
      <table
        role="table"
        aria-label="Session log"
        aria-rowcount={lines.length + 1}
        className="block wide:min-w-160"
      >
        <thead
          role="rowgroup"
          className="sticky top-0 z-10 block border-b border-line bg-sunken text-quiet narrow:sr-only"
        >
          <tr
            role="row"
            aria-rowindex={1}
            className={`${TRACKS} text-left *:py-1 *:font-semibold *:first:text-right`}
          >
            {["Line", "Time", "Level", "Stage", "Message"].map((name) => (
              <th key={name} role="columnheader">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup" className="relative block" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const line = lines[item.index];
            return (
              line && (
                <tr
                  key={item.key}
                  ref={virtual.measureElement}
                  data-index={item.index}
                  role="row"
                  aria-rowindex={item.index + 2}
                  style={{
                    position: "absolute",
                    insetInline: 0,
                    top: 0,
                    transform: `translateY(${item.start}px)`,
                  }}
                  className={`${TRACKS} border-b border-line *:py-1`}
                >
                  <td role="cell" className="text-right text-quiet tabular-nums narrow:hidden">
                    {line.line}
                  </td>
                  <td role="cell" className="tabular-nums" title={fullTime(line.at)}>
                    {preciseTime(line.at)}
                  </td>
                  <td role="cell" className={LOOKS[line.level]}>
                    {line.level}
                  </td>
                  <td role="cell" className="text-quiet">
                    {stageName(line.stage)}
                  </td>
                  <td
                    role="cell"
                    className="min-w-0 font-mono text-xs leading-5 break-words whitespace-pre-wrap narrow:col-span-full"
                  >
                    {line.message}
                  </td>
                </tr>
              )
            );
          })}
        </tbody>
      </table>
    </section>
  );
}

const TRACKS =
  "grid gap-x-3 px-3 grid-cols-[3rem_9rem_3.5rem_6.5rem_minmax(0,1fr)] narrow:grid-cols-[auto_3rem_1fr]";
