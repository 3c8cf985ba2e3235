import { describe, expect, it } from "vitest";
import type { LogLine } from "../src/api/view";
import { csv } from "../src/parts/csv";
import { findLines, logCsv } from "../src/parts/log/filter";

const lines: LogLine[] = [
  { line: 1, at: "2026-11-23T10:00:00.000000Z", level: "info", stage: "request", message: "Requested" },
  {
    line: 2,
    at: "2026-11-23T10:00:01.000000Z",
    level: "debug",
    stage: "pre_session",
    message: "Observed 2 of 3",
  },
  {
    line: 3,
    at: "2026-11-23T10:00:02.000000Z",
    level: "error",
    stage: "pre_session",
    message: '=1+1, said "host"\nand died',
  },
];
const numbers = (found: LogLine[]) => found.map((it) => it.line);

describe("lines of a log", () => {
  it("are shown from a level upwards", () => {
    expect(numbers(findLines(lines, "debug", ""))).toEqual([1, 2, 3]);
    expect(numbers(findLines(lines, "info", ""))).toEqual([1, 3]);
    expect(numbers(findLines(lines, "error", ""))).toEqual([3]);
  });

  it("are found by message and by stage", () => {
    expect(numbers(findLines(lines, "debug", "OBSERVED"))).toEqual([2]);
    expect(numbers(findLines(lines, "debug", "pre-session"))).toEqual([2, 3]);
  });

  it("leave as comma separated values", () => {
    expect(logCsv(lines.slice(2))).toBe(
      'line,time,level,stage,message\r\n3,2026-11-23T10:00:02.000000Z,error,pre_session,"\'=1+1, said ""host""\nand died"\r\n',
    );
  });
});

describe("comma separated values", () => {
  it.each([
    ["plain", "plain"],
    ["a,b", '"a,b"'],
    ['say "hi"', '"say ""hi"""'],
    ["two\r\nlines", '"two\r\nlines"'],
    ["=HYPERLINK(1)", "'=HYPERLINK(1)"],
    ["+1", "'+1"],
    ["-1", "'-1"],
    ["@x", "'@x"],
    ["\tx", "'\tx"],
    ["", ""],
  ])("hold %j as %j", (text, cell) => expect(csv([[text]])).toBe(`${cell}\r\n`));

  it("leave numbers as they are", () => expect(csv([[-1, 2]])).toBe("-1,2\r\n"));
});
