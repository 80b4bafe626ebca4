// Files of resources, as `weft apply` and `weft plan` take them: YAML with any number of documents, or JSON; each
// document a resource or a list of them. What `weft network list -o yaml` prints may be applied again. Only shape is
// judged here; the server judges the rest, so that all clients get the same answer.
import { readFileSync } from "node:fs";
import type { Document } from "yaml";
import { Fault } from "../../model/fault.ts";
import { WRITABLE_KINDS, type WritableKind, inWords, isWritable } from "../../model/kinds.ts";
import type { Snapshot } from "../../model/resource.ts";
import type { Io } from "../io.ts";
import { remember } from "./places.ts";
import { misuse } from "../output/error.ts";
import { whyUnread } from "./settings.ts";

/** What POST /v1/apply takes, before the server has looked at it. */
export type Item = {
  readonly kind: WritableKind;
  readonly name: string;
  readonly spec: unknown;
};

/** The text of a file, or of stdin for `-`; a Fault `request-invalid` if it cannot be read. */
export async function readText(io: Io, file: string): Promise<string> {
  if (file === "-") return io.stdin();
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const detail = { what: `${file} cannot be read`, why: whyUnread(error), fix: "check the path" };
    throw new Fault("request-invalid", detail, { cause: error });
  }
}

/** The resources of a text, in order; every Fault names the place in the file. */
export async function itemsOf(text: string, file: string): Promise<Item[]> {
  const { LineCounter, parseAllDocuments, visit } = await import("yaml");
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  const items: Item[] = [];
  for (const [i, document] of (Array.isArray(documents) ? documents : []).entries()) {
    const wrong = (at: number, why: string) => {
      const { line, col } = lines.linePos(at);
      const where = `${file}:${line}:${col}`;
      return new Fault("yaml-invalid", { what: "the file is not YAML", where, why, fix: "correct that line" });
    };
    // A warning is an unknown tag: its value would be read as if the tag were not there.
    const [error] = [...document.errors, ...document.warnings];
    if (error !== undefined) throw wrong(error.pos[0], error.message);
    visit(document, {
      Scalar: (_, { value, source = "", range }) => {
        if (typeof value === "number" && /^[-+]?0\d/.test(source))
          throw wrong(range?.[0] ?? 0, `${source} begins with a zero: it is octal for some readers`);
      },
    });
    const { line } = lines.linePos(document.contents?.range?.[0] ?? 0);
    const value = valueOf(document, (why) => wrong(document.contents?.range?.[0] ?? 0, why));
    if (value === null || value === undefined) continue;
    const found = itemsIn(value, `${file}:${line} (document ${i + 1})`);
    const lineAt = (keys: readonly (string | number)[]) => lines.linePos(nodeAt(document, keys)).line;
    for (const [n, item] of found.entries()) {
      const start = Array.isArray(value) ? [n] : [];
      remember(item, (path) => `${file}:${lineAt([...start, ...keysOf(path)])}`);
    }
    items.push(...found);
  }
  if (items.length === 0)
    throw misuse(file, "the file has no resources", "write `kind: network`, `name: …`, `spec: …`");
  return items;
}

/** `spec.subnets[0].cidr` as keys. */
function keysOf(path: string): (string | number)[] {
  return [...path.matchAll(/([^.[\]]+)/g)].map(([key]) => (/^\d+$/.test(key) ? Number(key) : key));
}

/** Offset of what these keys lead to, or of the last that is there. */
function nodeAt(document: Pick<Document, "getIn">, keys: readonly (string | number)[]): number {
  for (let depth = keys.length; depth > 0; depth--) {
    const node = document.getIn(keys.slice(0, depth), true);
    if (typeof node === "object" && node !== null && "range" in node && Array.isArray(node.range))
      return Number(node.range[0]);
  }
  const all = document.getIn([], true);
  return typeof all === "object" && all !== null && "range" in all && Array.isArray(all.range)
    ? Number(all.range[0])
    : 0;
}

/** A Fault `vrf-unknown` if networks of a VRF are to go that neither server nor file has. */
export function checkPruned(vrf: string | undefined, items: readonly Item[], before: Pick<Snapshot, "vrfs">): void {
  if (vrf === undefined || before.vrfs.some(({ name }) => name === vrf)) return;
  const places = items.map(({ kind, name, spec }) => (kind === "network" ? (vrfIn(spec) ?? name) : name));
  if (items.some(({ kind }, i) => (kind === "network" || kind === "vrf") && places[i] === vrf)) return;
  const what = `there is no VRF "${vrf.slice(0, 80)}"`;
  throw new Fault("vrf-unknown", { what, where: "--prune-vrf", fix: "see weft vrf list" });
}

/** Throws what `wrong` makes if an alias has no anchor before it, or aliases multiply to more than can be read. */
function valueOf(document: Pick<Document, "toJS">, wrong: (why: string) => Fault): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error));
  }
}

function vrfIn(spec: unknown): unknown {
  return typeof spec === "object" && spec !== null && "vrf" in spec ? spec.vrf : undefined;
}

function itemsIn(value: unknown, where: string): Item[] {
  return Array.isArray(value) ? value.map((item, i) => itemOf(item, `${where}[${i}]`)) : [itemOf(value, where)];
}

/**
 * What the server adds to what it prints is left out: `uid` and `revision`, because nobody wants them to be so, access
 * and lock, because they have requests of their own.
 */
function itemOf(value: unknown, where: string): Item {
  if (typeof value !== "object" || value === null)
    throw shapeless(where, "this is not a resource: kind, name and spec");
  const { kind, name, spec, ...rest } = value as Readonly<Record<string, unknown>>;
  if (!isWritable(kind)) {
    const why = `kind is ${JSON.stringify(kind)}; apply takes ${inWords(WRITABLE_KINDS, "and")}`;
    throw shapeless(`${where}.kind`, why);
  }
  if (typeof name !== "string") throw shapeless(`${where}.name`, "a resource needs a name");
  const stray = Object.keys(rest).find((field) => !ADDED.includes(field));
  if (stray !== undefined)
    throw shapeless(`${where}.${stray}`, `"${stray}" is not a field of a resource; there are kind, name and spec`);
  return { kind, name, spec: spec ?? {} };
}

const ADDED = ["uid", "revision", "access", "lock", "lockedBy"];

function shapeless(where: string, why: string): Fault {
  return misuse(where, "the file cannot be applied", "correct the file; see examples/", why);
}
