// The table of formats: how files of each are read into a link plan, and how a plan is written.
import { Drafts } from "./draft.ts";
import { readIfupdown } from "./ifupdown/read.ts";
import { writeIfupdown } from "./ifupdown/write.ts";
import { writeIfupdown2 } from "./ifupdown2/write.ts";
import { writeIproute2 } from "./iproute2.ts";
import { readNetplan } from "./netplan/read.ts";
import { writeNetplan } from "./netplan/write.ts";
import { readNetworkd } from "./networkd/read.ts";
import { writeNetworkd } from "./networkd/write.ts";
import type { LinkPlan } from "./plan.ts";
import { type Reading, type SourceFiles, bounded, newReading } from "./reading.ts";
import type { UnsaidField } from "./said.ts";
import type { Order, Written } from "./writing.ts";

type Read = (drafts: Drafts, files: SourceFiles, paths: readonly string[]) => void;
/** `files`: which files of a folder are read. `lacks`: fields of networks that the format has no words for. */
type Source = { readonly read: Read; readonly files: RegExp; readonly lacks?: readonly UnsaidField[] };

/** What can be read; ifupdown's reader reads ifupdown2, too. */
export const SOURCES = {
  ifupdown: {
    read: (drafts, files, paths) => {
      for (const path of paths) readIfupdown(drafts, files, path);
    },
    files: /^[a-zA-Z0-9_-]+$/,
  },
  netplan: {
    read: (drafts, files, paths) => {
      for (const path of paths) readNetplan(drafts, files, path);
    },
    files: /\.yaml$/,
    lacks: ["offload"],
  },
  networkd: { read: readNetworkd, files: /\.(network|netdev|link|network\.d)$/ },
} as const satisfies Readonly<Record<string, Source>>;
export type SourceFormat = keyof typeof SOURCES;

export const WRITERS = {
  ifupdown: writeIfupdown,
  ifupdown2: writeIfupdown2,
  netplan: writeNetplan,
  networkd: writeNetworkd,
  iproute2: writeIproute2,
} as const satisfies Readonly<Record<string, (order: Order) => Written>>;
export type Format = keyof typeof WRITERS;
export const FORMATS = Object.keys(WRITERS) as readonly Format[];

/** The plan that files say, with notes on what it does not hold; problems are in the reading. */
export function readPlan(
  format: SourceFormat,
  files: SourceFiles,
  paths: readonly string[],
): { readonly plan: LinkPlan; readonly reading: Reading; readonly lacks: readonly UnsaidField[] } {
  const reading = newReading();
  const drafts = new Drafts(reading);
  const source: Source = SOURCES[format];
  const limited = bounded(files);
  source.read(
    drafts,
    limited,
    paths.flatMap((path) => membersOf(limited, source, path)),
  );
  return { plan: drafts.plan(), reading, lacks: source.lacks ?? [] };
}

/** A folder stands for its files. */
function membersOf(files: SourceFiles, source: Source, path: string): readonly string[] {
  if (path.endsWith(".network.d")) return [path];
  const names = files.list(path);
  if (names === undefined) return [path];
  // A drop-in belongs to its file, if that is there.
  const isRead = (name: string) =>
    source.files.test(name) && !(name.endsWith(".d") && names.includes(name.slice(0, -".d".length)));
  return names.filter(isRead).map((name) => `${path}/${name}`);
}
