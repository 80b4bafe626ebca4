// The log: one line per event on stderr, `time message key=value …`, readable by journald and people. If a log cannot
// be written (its disk is full, its reader is gone or slow), the process neither ends nor waits: lines are lost, and
// the next written line says how many.
import { fstatSync, writeSync } from "node:fs";
import type { Clock } from "../model/clock.ts";

export type Log = (message: string, fields?: Readonly<Record<string, unknown>>) => void;

/** How many bytes may wait for a slow reader. */
const WAITING_MAX = 1 << 20;
const STDERR = 2;

/** The log of this process. Also keeps other writes to stderr from ending it. */
export function logOn(stderr: NodeJS.WriteStream, clock: Clock): Log {
  // Without a listener an error of a stream ends the process.
  stderr.on("error", () => undefined);
  const take = isLine() ? lineTo(stderr) : writtenNow;
  let lost = 0;
  return (message, fields = {}) => {
    const told = lost === 0 ? {} : { linesLostBefore: lost };
    const line = `${new Date(clock.nowMs()).toISOString()} ${textOf(message, { ...fields, ...told })}\n`;
    lost = take(line) ? 0 : lost + 1;
  };
}

/** Whether a process reads at the other end (a pipe or socket): writing there may block for long. */
function isLine(): boolean {
  try {
    const stat = fstatSync(STDERR);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false;
  }
}

function lineTo(stderr: NodeJS.WriteStream): (line: string) => boolean {
  return (line) => {
    if (stderr.writableLength > WAITING_MAX || stderr.destroyed) return false;
    stderr.write(line);
    return true;
  };
}

/** Not through the stream: one that failed once accepts nothing any more, and a disk may have room again. */
function writtenNow(line: string): boolean {
  try {
    writeSync(STDERR, line);
    return true;
  } catch {
    return false;
  }
}

function textOf(message: string, fields: Readonly<Record<string, unknown>>): string {
  const pairs = Object.entries(fields).map(
    ([key, value]) => ` ${key}=${typeof value === "string" ? quoted(value) : JSON.stringify(value)}`,
  );
  return `${message}${pairs.join("")}`;
}

function quoted(value: string): string {
  return /^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value);
}
