// Reads a YAML file field by field and remembers where each one stands, so that every complaint can say
// `config.yaml:14:17 overlays[1].subnet`. It goes on after a mistake: a person mends a file once, not once per mistake.
// It knows YAML and types; what the fields mean is config.ts.
import { type Document, type Node, LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument } from "yaml";
import { type Family, formatCidr, parseCidr, parseIp } from "../../model/address.ts";
import { Fault, type FaultDetail, type Reason } from "../../model/fault.ts";

type Detail = Omit<FaultDetail, "where">;
/** What is wrong with the field at `path` (`overlays[1].subnet`). */
export type Problem = { readonly path: string; readonly reason: Reason } & Detail;

/** One file being read. `places` and `problems` grow as it is. */
export type Reading = {
  readonly file: string;
  readonly lines: LineCounter;
  readonly doc: Document;
  /** file:line:column by path. */
  readonly places: Map<string, string>;
  readonly problems: Problem[];
};

/** A value in the file, not judged yet. */
export type Field = { readonly reading: Reading; readonly path: string; readonly node: Node };

/** The installer turns its own keys into text, so `"1420"` is as good as 1420; inside nested values it is not. */
export type Quotes = "quoted" | "bare";

/** The file's top, undefined if it is empty; a Fault if the text is not YAML, has a key twice or a second document. */
export function readYaml(text: string, file: string): { readonly reading: Reading; readonly root: Field | undefined } {
  const lines = new LineCounter();
  // YAML 1.2: `10:20:30:00:00:00` stays text, where 1.1 would read a number in base sixty.
  const doc = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const reading: Reading = { file, lines, doc, places: new Map(), problems: [] };
  // A warning is an unknown tag: its value would be read as if the tag were not there.
  for (const [i, error] of [...doc.errors, ...doc.warnings].entries()) {
    const path = `error[${i}]`;
    place(reading, path, error.pos[0]);
    const detail = { what: "this is not YAML", why: error.message, fix: "correct the syntax" };
    complain({ reading, path }, "yaml-invalid", detail);
  }
  throwProblems(reading);
  const node = doc.contents;
  if (node === null) return { reading, root: undefined };
  place(reading, "", node.range?.[0] ?? 0);
  return { reading, root: { reading, path: "", node } };
}

function place({ places, file, lines }: Reading, path: string, offset: number): void {
  const { line, col } = lines.linePos(offset);
  places.set(path, `${file}:${line}:${col}`);
}

/** Returns what a reader of a wrong value returns. */
export function complain({ reading, path }: Omit<Field, "node">, reason: Reason, detail: Detail): undefined {
  reading.problems.push({ path, reason, ...detail });
}

/** `config.yaml:14:17 overlays[1].subnet`; what is not in the file stands where it should be in. */
export function whereIs({ places, file }: Reading, path: string): string {
  for (let at = path; ; at = at.replace(/(^|\.)[^.[\]]+$|\[\d+\]$/, "")) {
    const found = places.get(at);
    if (found !== undefined || at === "")
      return `${found ?? file}${path === "" || path.startsWith("error[") ? "" : ` ${path}`}`;
  }
}

/** Throws all complaints, from top to bottom of the file, as one Fault; its reason is theirs if they agree. */
export function throwProblems(reading: Reading): void {
  const problems = reading.problems
    .map(({ path, reason, ...detail }) => ({ where: whereIs(reading, path), reason, detail }))
    .sort((a, b) => byPlace(a.where, b.where));
  const [first] = problems;
  if (first === undefined) return;
  if (problems.length === 1) throw new Fault(first.reason, { ...first.detail, where: first.where });
  const reason = problems.every((problem) => problem.reason === first.reason) ? first.reason : "yaml-invalid";
  throw new Fault(reason, {
    what: `${reading.file} has ${problems.length} problems`,
    blockers: problems.map(({ where, detail }) => `${where}: ${new Fault(reason, detail).message}`),
    fix: "correct each of them",
  });
}

const byPlace = new Intl.Collator("en", { numeric: true }).compare;

/** The members of a mapping that have a value; undefined, with a complaint, for anything else. */
export function membersOf(field: Field): ReadonlyMap<string, Field> | undefined {
  const node = resolve(field);
  if (!isMap(node)) return wrongType(field, "a mapping");
  const members = new Map<string, Field>();
  for (const { key, value } of node.items) {
    if (!isScalar(key) || key.value === "<<") {
      const what = isScalar(key) ? "this file merges mappings with <<" : "a key of this mapping is not text";
      complain(field, "unsupported", { what, fix: "write out what is meant" });
      continue;
    }
    if (isNothing(value)) continue;
    const name = String(key.value);
    members.set(name, child(field, field.path === "" ? name : `${field.path}.${name}`, value as Node));
  }
  return members;
}

/** The items of a list; undefined, with a complaint, for anything else. */
export function itemsOf(field: Field): readonly Field[] | undefined {
  const node = resolve(field);
  if (!isSeq(node)) return wrongType(field, "a list");
  return node.items.map((item, i) => child(field, `${field.path}[${i}]`, item as Node));
}

/** DC/OS takes nested values also as text that holds JSON; their parts stand where the text stands. */
export function unfold(field: Field): Field {
  const node = resolve(field);
  if (!isScalar(node) || typeof node.value !== "string") return field;
  try {
    const value: unknown = JSON.parse(node.value);
    return typeof value === "object" && value !== null
      ? { ...field, node: field.reading.doc.createNode(value) }
      : field;
  } catch {
    return field;
  }
}

export function textOf(field: Field): string | undefined {
  const value = valueOf(field);
  return typeof value === "string" ? value : wrongType(field, "text");
}

export function integerOf(field: Field, quotes: Quotes): number | undefined {
  const value = valueOf(field);
  const node = resolve(field);
  const text = isScalar(node) ? (node.source ?? "") : "";
  if (/^[-+]?0\d+$/.test(text)) {
    const why = "it begins with a zero: DC/OS reads it as octal, newer YAML as decimal";
    return complain(field, "yaml-invalid", { what: `${text} is not a whole number`, why, fix: "remove the zero" });
  }
  const number = quotes === "quoted" && typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  return typeof number === "number" && Number.isSafeInteger(number) ? number : wrongType(field, "a whole number");
}

/** true or false; also yes, no, on, off without quotes, because DC/OS reads YAML 1.1. */
export function flagOf(field: Field, quotes: Quotes): boolean | undefined {
  const node = resolve(field);
  const value = isScalar(node) ? node.value : undefined;
  if (typeof value === "boolean") return value;
  if (typeof value === "string" && (quotes === "quoted" || (isScalar(node) && node.type === "PLAIN"))) {
    if (/^(true|yes|on)$/i.test(value)) return true;
    if (/^(false|no|off)$/i.test(value)) return false;
  }
  return wrongType(field, "true or false");
}

/** A network of one family in canonical text, host bits zero. */
export function networkTextOf(field: Field, family: Family): string | undefined {
  const text = textOf(field);
  const cidr = text === undefined ? undefined : judged(field, () => parseCidr(text, field.path));
  if (cidr === undefined || cidr.family === family) return cidr && formatCidr(cidr);
  const fix = family === 4 ? "write it like 9.0.0.0/8" : "write it like fd01:b::/64";
  return complain(field, "cidr-invalid", { what: `"${text}" is not an IPv${family} network`, fix });
}

/** What a parser of the model makes of a field; undefined, with a complaint, if it refuses the field. */
export function judged<T>(field: Field, parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const { where: _, ...detail } = error.detail;
    return complain(field, error.reason, detail);
  }
}

/** The IP addresses of a list; one that is none becomes "" so that the others keep their place. */
export function addressesOf(field: Field): readonly string[] {
  return (itemsOf(unfold(field)) ?? []).map((item) => {
    const text = textOf(item);
    return text !== undefined && judged(item, () => parseIp(text, item.path)) !== undefined ? text : "";
  });
}

/** Text as it was meant: published samples escape `<name>` as in HTML, and YAML takes the ampersand for an anchor. */
export function titleOf({ node }: Field): string | undefined {
  if (!isScalar(node)) return undefined;
  const text = node.anchor === undefined ? String(node.value) : `&${node.anchor}`;
  const entities: Readonly<Record<string, string>> = { "&lt;": "<", "&gt;": ">", "&quot;": '"', "&amp;": "&" };
  return text.replaceAll(/&(?:lt|gt|quot|amp);/g, (entity) => entities[entity] ?? entity);
}

function child({ reading }: Field, path: string, node: Node): Field {
  // A node made from JSON has no range of its own.
  if (node.range != null) place(reading, path, node.range[0]);
  return { reading, path, node };
}

function resolve({ reading, node }: Field): Node | undefined {
  return isAlias(node) ? node.resolve(reading.doc) : node;
}

/** `key:` and nothing behind it. With an anchor it is text that YAML misread; see titleOf. */
function isNothing(node: unknown): boolean {
  return node === null || (isScalar(node) && node.value === null && node.anchor === undefined);
}

function valueOf(field: Field): unknown {
  const node = resolve(field);
  return isScalar(node) ? node.value : node;
}

function wrongType(field: Field, wanted: string): undefined {
  const node = resolve(field);
  const found = isMap(node)
    ? "a mapping"
    : isSeq(node)
      ? "a list"
      : isScalar(node)
        ? described(node.value)
        : "an unknown alias";
  const isQuotedNumber = isScalar(node) && wanted === "a whole number" && /^\d+$/.test(String(node.value));
  const fix = isQuotedNumber
    ? "remove the quotes"
    : wanted === "text" && isScalar(node)
      ? "put it in quotes"
      : `write ${wanted}`;
  return complain(field, "yaml-invalid", { what: `this must be ${wanted}, not ${found}`, fix });
}

function described(value: unknown): string {
  if (value === null) return "nothing";
  return typeof value === "string" ? `the text "${value}"` : `the ${typeof value} ${JSON.stringify(value)}`;
}
