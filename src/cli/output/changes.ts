// What a write did, or would do, in a line per resource: created, changed with the fields, deleted.
import { isWritable } from "../../model/kinds.ts";
import { type Change, type Resource, type Snapshot, resourcesIn } from "../../model/resource.ts";
import { paint, type Io, type Tone } from "../io.ts";

export type ChangeLine = {
  readonly verb: "created" | "changed" | "deleted";
  readonly key: string;
  readonly fields: readonly string[];
};

const TONE: Record<ChangeLine["verb"], Tone> = { created: "good", changed: "warn", deleted: "bad" };
const MARK: Record<ChangeLine["verb"], string> = { created: "+", changed: "~", deleted: "-" };

/** In the order of the changes. */
export function changeLinesOf(changes: readonly Change[], before: Snapshot): ChangeLine[] {
  const old = new Map(resourcesIn(before).map((resource) => [`${resource.kind}/${resource.name}`, resource]));
  return changes.flatMap((change): ChangeLine[] => {
    if ("remove" in change) return [{ verb: "deleted", key: change.remove, fields: [] }];
    const key = `${change.put.kind}/${change.put.name}`;
    const previous = old.get(key);
    if (previous === undefined) return [{ verb: "created", key, fields: [] }];
    const fields = changedFields(previous, change.put);
    return fields.length === 0 ? [] : [{ verb: "changed", key, fields }];
  });
}

/** What a person does not set: said only when nothing else differs. */
const INNER = ["kept", "alternate"];
const isInner = (field: string) => INNER.some((inner) => field.startsWith(`${inner}:`));

/** `peers, ttl`: the fields that differ. */
export function changedNames(before: Resource, after: Resource): string {
  return shown(changedFields(before, after))
    .map((field) => field.slice(0, field.indexOf(":")))
    .join(", ");
}

function shown(fields: readonly string[]): readonly string[] {
  return fields.every(isInner) ? fields : fields.filter((field) => !isInner(field));
}

/** Whether a write found everything as it wants it. */
export function isSame(before: Resource, after: Resource): boolean {
  return changedFields(before, after).length === 0;
}

export function sameText(what: string, { revision }: Pick<Resource, "revision">): string {
  return `${what}: nothing to change, it is so already (revision ${revision})\n`;
}

function changedFields(before: Resource, after: Resource): string[] {
  const old = new Map(Object.entries(before.spec).map(([name, value]) => [name, JSON.stringify(value)]));
  const now = new Map(Object.entries(after.spec).map(([name, value]) => [name, JSON.stringify(value)]));
  return [...new Set([...old.keys(), ...now.keys()])]
    .filter((name) => old.get(name) !== now.get(name))
    .map((name) => `${name}: ${old.get(name) ?? "unset"} -> ${now.get(name) ?? "unset"}`);
}

/** A line for each resource that users put, and one that counts what follows from them. `isDry`: nothing was done. */
export function changesText(io: Pick<Io, "color">, told: readonly ChangeLine[], isDry: boolean): string {
  const done = isDry ? "would be " : "";
  const isMain = ({ key }: ChangeLine) => isWritable(key.slice(0, key.indexOf("/")));
  const rest = told.filter((one) => !isMain(one));
  const lines = told.filter(isMain).map(({ verb, key, fields }) => {
    const head = paint(io, TONE[verb], `${MARK[verb]} ${key} ${done}${verb}`);
    return `${[head, ...shown(fields).map((field) => `    ${field}`)].join("\n")}\n`;
  });
  const follow = (["block", "vtep", "endpoint"] as const).flatMap((kind) => {
    const n = rest.filter(({ key }) => key.startsWith(`${kind}/`)).length;
    return n === 0 ? [] : [`${n} ${n === 1 ? kind : `${kind}s`}`];
  });
  return lines.join("") + (follow.length === 0 ? "" : `  with ${follow.join(", ")}\n`);
}
