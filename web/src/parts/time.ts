// Points in time and lengths of time as people read them. The server speaks UTC; the page speaks the reader's zone.
import { useSyncExternalStore } from "react";

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const minute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long", hourCycle: "h23" });

/** `14:05:09` today, `3 Nov 14:05:09` otherwise. */
export function shortTime(at: string | null | undefined, now = new Date()): string {
  if (!at) return "";
  const date = new Date(at);
  const isToday = date.toDateString() === now.toDateString();
  return isToday ? clock.format(date) : `${day.format(date)} ${clock.format(date)}`;
}

/** `14:05` today, `3 Nov 14:05` otherwise. */
export function minuteTime(at: number, now = new Date()): string {
  const date = new Date(at);
  const isToday = date.toDateString() === now.toDateString();
  return isToday ? minute.format(date) : `${day.format(date)} ${minute.format(date)}`;
}

/** Like {@link shortTime}, to the millisecond: what a log needs. */
export function preciseTime(at: string, now = new Date()): string {
  return `${shortTime(at, now)}.${String(new Date(at).getMilliseconds()).padStart(3, "0")}`;
}

/** Date, time and zone in full. */
export function fullTime(at: string | null | undefined): string {
  return at ? full.format(new Date(at)) : "";
}

/** When a day, `YYYY-MM-DD`, or the one that comes so many later begins for the reader; nothing for what is no day. */
export function dayStart(day: string, later = 0): string | undefined {
  const parts = /^(\d{4})-(\d\d)-(\d\d)$/.exec(day);
  if (!parts) return undefined;
  const [year, month, date] = parts.slice(1).map(Number) as [number, number, number];
  const start = new Date(year, month - 1, date + later);
  const isOne = new Date(year, month - 1, date).getDate() === date;
  return isOne ? start.toISOString() : undefined;
}

/** A length of time in at most two units: `2 d 4 h`, `1 h 05 m`, `4 m 09 s`, `42 s`. Not below zero. */
export function length(milliseconds: number): string {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  const [d, h, m, s] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
    seconds % 60,
  ];
  const two = (n: number) => String(n).padStart(2, "0");
  if (d > 0) return `${d} d ${h} h`;
  if (h > 0) return `${h} h ${two(m)} m`;
  if (m > 0) return `${m} m ${two(s)} s`;
  return `${s} s`;
}

/** An ISO 8601 length such as `PT1H30M`, in milliseconds; NaN when it is not one. */
export function parsePeriod(text: string): number {
  const parts = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/.exec(text);
  if (!parts) return Number.NaN;
  const [days, hours, minutes, seconds] = parts.slice(1).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
  ];
  return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000;
}

/** A period as people read it, or as it was written when it cannot be read. */
export function period(text: string): string {
  const milliseconds = parsePeriod(text);
  return Number.isNaN(milliseconds) ? text : length(milliseconds).replace(/ 00? [hms]$/, "");
}

/** How much is left, and whether that is little: less than five minutes. */
export function countdown(end: string, now: number): { text: string; isSoon: boolean } {
  const left = Date.parse(end) - now;
  return { text: left > 0 ? length(left) : "ending", isSoon: left < 5 * 60_000 };
}

/** The zone that the page speaks, with its distance from UTC at a time: `Europe/Berlin, GMT+1`. */
export function zoneAt(at: Date): string {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
  const parts = new Intl.DateTimeFormat("en", { timeZoneName: "shortOffset" }).formatToParts(at);
  const offset = parts.find((part) => part.type === "timeZoneName")?.value ?? "";
  return timeZone === offset ? timeZone : `${timeZone}, ${offset}`;
}

/** A time as a `datetime-local` field holds it, in the reader's zone, to the minute. */
export function toLocal(at: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** What a `datetime-local` field holds, as a time; nothing when it is no time. */
export function fromLocal(text: string): Date | undefined {
  const at = new Date(text);
  return text && !Number.isNaN(at.getTime()) ? at : undefined;
}

const watchers = new Set<() => void>();
let second = Date.now();
let ticker: ReturnType<typeof setInterval> | undefined;

function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  ticker ??= setInterval(() => {
    second = Date.now();
    for (const each of watchers) each();
  }, 1000);
  return () => {
    watchers.delete(watcher);
    if (watchers.size > 0) return;
    clearInterval(ticker);
    ticker = undefined;
  };
}

/** The time now, in milliseconds, anew each second. All readers share one timer. */
export function useSecond(): number {
  return useSyncExternalStore(watch, () => second);
}
