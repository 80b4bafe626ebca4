// Limits in flags: `--inbound avg=10mbit,peak=20mbit,burst=64kB`. Units are the server's to read; here are only the
// names of the three numbers, and how a limit and its counters look in a terminal.
import type { Command } from "commander";
import type { Fault } from "../../model/fault.ts";
import { DIRECTIONS, type Direction, formatLimit, formatRate, formatSize, limitOf, type Qos } from "../../model/qos.ts";
import type { LimitInput, QosInput } from "../../model/qos.ts";
import type { QueueCounters } from "../../model/status.ts";
import { misuse } from "../output/error.ts";

export type LimitFlags = { readonly [D in Direction]?: string };

/** `more`: what else than a limit it may be. */
export function limitFlags(command: Command, more: string): Command {
  return command
    .option("--inbound <limit>", `limit of received traffic: avg=10mbit[,peak=20mbit][,burst=64kB], or ${more}`)
    .option("--outbound <limit>", "limit of sent traffic, in the same form");
}

/** What the flags say, undefined if nothing; a Fault `request-invalid` for a form that cannot be meant. */
export function qosOf(flags: LimitFlags): QosInput | undefined {
  const said = DIRECTIONS.flatMap((direction) => {
    const text = flags[direction];
    return text === undefined ? [] : [[direction, choiceOf(text, `--${direction}`)] as const];
  });
  return said.length === 0 ? undefined : Object.fromEntries(said);
}

const FIELDS: ReadonlyMap<string, keyof LimitInput> = new Map([
  ["avg", "average"],
  ["average", "average"],
  ["peak", "peak"],
  ["burst", "burst"],
]);

/** As people write it, `avg=10mbit,peak=20mbit`, or as a limit is printed: `10mbit, peak 20mbit`. */
function choiceOf(text: string, option: string): LimitInput | "none" | "inherit" {
  if (text === "none" || text === "inherit") return text;
  const limit: { average?: string; peak?: string; burst?: string } = {};
  for (const [i, part] of text.split(",").entries()) {
    const [, name = "", value = ""] = /^\s*(?:([a-z]+)[= ])?([^\s=]+)\s*$/i.exec(part) ?? [];
    const isAverage = name === "" && i === 0 && /^\d/.test(value);
    const field = isAverage ? "average" : FIELDS.get(name.toLowerCase());
    if (field === undefined || value === "" || limit[field] !== undefined) throw notALimit(text, option);
    limit[field] = value;
  }
  const { average, ...more } = limit;
  if (average === undefined) throw notALimit(text, option);
  return { average, ...more };
}

function notALimit(text: string, option: string): Fault {
  const fix = `write it like ${option} avg=10mbit,peak=20mbit,burst=64kB; peak and burst may be left out`;
  return misuse(option, `"${text.slice(0, 80)}" is not a limit`, fix);
}

/** One direction, with where its limit comes from; undefined if there is none. */
export function limitText(levels: readonly (readonly [from: string, qos: Qos | undefined])[], direction: Direction) {
  const source = levels.find(([, qos]) => qos?.[direction] !== undefined);
  if (source === undefined) return undefined;
  const limit = limitOf([source[1]], direction);
  return `${limit === undefined ? "no limit" : formatLimit(limit)} (from ${source[0]})`;
}

/** `12 packets, 1.8kB; 3 dropped, 0B wait`. */
export function countersText({ bytes, packets, drops, backlog }: QueueCounters): string {
  return `${packets} packets, ${formatSize(bytes)}; ${drops} dropped, ${formatSize(backlog)} waiting`;
}

/** `inbound 10mbit` for lists. */
export function shortLimits(qos: Qos | undefined): string {
  return DIRECTIONS.flatMap((direction) => {
    const said = qos?.[direction];
    if (said === undefined) return [];
    return [`${direction === "inbound" ? "in" : "out"} ${said === "none" ? "none" : formatRate(said.average)}`];
  }).join(", ");
}
