import { act, render, screen } from "@testing-library/react";
import { createElement } from "react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { countdown, dayStart, length, parsePeriod, period, useSecond } from "../src/parts/time";

afterEach(() => vi.useRealTimers());

describe("a day", () => {
  it("begins at the reader's midnight", () => {
    expect(dayStart("2026-11-30")).toBe(new Date(2026, 10, 30).toISOString());
    expect(dayStart("2026-11-30", 1)).toBe(new Date(2026, 11, 1).toISOString());
    for (const text of ["", "2026-02-30", "30.11.2026"]) expect(dayStart(text)).toBeUndefined();
  });
});

describe("lengths of time", () => {
  it.each([
    [0, "0 s"],
    [-5_000, "0 s"],
    [1, "1 s"],
    [59_000, "59 s"],
    [60_000, "1 m 00 s"],
    [249_000, "4 m 09 s"],
    [3_600_000, "1 h 00 m"],
    [3_900_000, "1 h 05 m"],
    [187_200_000, "2 d 4 h"],
  ])("%d ms is %s", (milliseconds, text) => expect(length(milliseconds)).toBe(text));

  it.each([
    ["PT1H", "1 h"],
    ["PT1H30M", "1 h 30 m"],
    ["PT30M", "30 m"],
    ["PT45S", "45 s"],
    ["P2D", "2 d"],
    ["PT24H", "1 d"],
    ["soon", "soon"],
  ])("the period %s is read as %s", (text, read) => expect(period(text)).toBe(read));

  it("refuses what is no period", () => {
    for (const text of ["", "1h", "PT", "P1Y"]) expect(parsePeriod(text) > 0, text).toBe(false);
  });
});

describe("the countdown", () => {
  const end = "2026-11-23T12:00:00Z";
  const before = (seconds: number) => countdown(end, Date.parse(end) - seconds * 1000);

  it("warns in the last five minutes and never shows less than nothing", () => {
    expect(before(301)).toEqual({ text: "5 m 01 s", isSoon: false });
    expect(before(299)).toEqual({ text: "4 m 59 s", isSoon: true });
    expect(before(-10)).toEqual({ text: "ending", isSoon: true });
  });

  it("ticks each second while it is shown, with one timer for all", () => {
    vi.useFakeTimers({ now: Date.parse(end) - 90_000 });
    const Left = () => createElement("p", null, countdown(end, useSecond()).text);
    const { unmount } = render(createElement("div", null, createElement(Left), createElement(Left)));
    act(() => void vi.advanceTimersByTime(1_000));
    expect(screen.getAllByText("1 m 29 s")).toHaveLength(2);
    expect(vi.getTimerCount()).toBe(1);
    unmount();
    expect(vi.getTimerCount()).toBe(0);
  });
});
