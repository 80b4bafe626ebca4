// Values of a template's inputs, and paths of what they set. Pure; knows which fields a network has by its schema.
import { isDeepStrictEqual } from "node:util";
import type { TSchema } from "typebox";
import { formatCidr, formatIp, parseCidr, parseIp } from "./address.ts";
import { Fault } from "./fault.ts";
import { NetworkInput } from "./kinds/network.ts";
import type { TemplateInput, TemplateSpec } from "./kinds/template.ts";
import { invalid } from "./shape.ts";

type Value = string | number | boolean | readonly string[];
type Fields = { readonly [field: string]: unknown };

/** What a caller gave, or the default, as the type says; a Fault at `where` for anything else. */
export function inputValue(input: TemplateInput, given: Value, where: string): Value {
  const value = typed(input, given, where);
  const { choices } = input;
  if (choices === undefined || choices.some((choice) => String(typed(input, choice, where)) === String(value)))
    return value;
  throw new Fault("request-invalid", {
    what: `input ${input.name} cannot be "${shown(given)}"`,
    where,
    why: `it is one of ${choices.map((choice) => shown(choice)).join(", ")}`,
    fix: "choose one of these",
  });
}

function typed({ name, type }: TemplateInput, given: Value, where: string): Value {
  const text = shown(given);
  if (type === "text" && typeof given === "string") return given;
  if (type === "number" && /^-?(?:0|[1-9]\d{0,14})$/.test(text)) return Number(text);
  if (type === "flag" && (text === "true" || text === "false")) return text === "true";
  if (type === "list" && typeof given !== "boolean") {
    const words = Array.isArray(given) ? given : text.split(",").map((word) => word.trim());
    return words.filter((word) => word !== "");
  }
  if (type === "address") return formatIp(parseIp(text, where));
  if (type === "cidr") return formatCidr(parseCidr(text, where));
  throw new Fault("request-invalid", {
    what: `input ${name}: "${text.slice(0, 60)}" is no ${type}`,
    where,
    fix: `give a ${type}, like ${EXAMPLES[type]}`,
  });
}

const EXAMPLES: { readonly [T in TemplateInput["type"]]: string } = {
  text: "web",
  number: "26",
  flag: "true",
  list: "a,b",
  address: "10.0.0.1",
  cidr: "10.0.0.0/24",
};

function shown(value: Value): string {
  return Array.isArray(value) ? value.join(",") : String(value);
}

/** `subnets[0].cidr` as keys. */
function keysOf(path: string): readonly (string | number)[] {
  return [...path.matchAll(/[^.[\]]+/g)].map(([key]) => (/^\d+$/.test(key) ? Number(key) : key));
}

/** The part of a network with the value at this path. */
export function withField(part: NetworkInput, path: string, value: unknown): NetworkInput {
  // What comes out is checked against the schema by whoever uses it.
  return set(part, keysOf(path), value) as NetworkInput;
}

function set(holder: unknown, [key, ...rest]: readonly (string | number)[], value: unknown): unknown {
  if (key === undefined) return value;
  if (typeof key === "number") {
    const list: unknown[] = Array.isArray(holder) ? [...(holder as readonly unknown[])] : [];
    list[key] = set(list[key], rest, value);
    return list;
  }
  const fields = (typeof holder === "object" && holder !== null ? holder : {}) as Fields;
  return { ...fields, [key]: set(fields[key], rest, value) };
}

/** Refuses a path that leads to no field of a network; `isWhole`: it must begin at the network. */
export function checkField(path: string, where: string, isWhole: boolean): void {
  const plain = path.replaceAll(/\[\d{1,3}\]/g, "");
  if (FIELDS.some((field) => field === plain || (!isWhole && field.endsWith(`.${plain}`)))) return;
  throw invalid(where, "a field of a network", path, "see the fields in GET /openapi.json, like mtu or ranges.gateway");
}

type FieldIn = { readonly path: string; readonly field: string; readonly value: unknown };

/** Every field that the value has, as `ranges[0].gateway` and without its indexes. */
function fieldsIn(value: unknown, at = "", plain = ""): FieldIn[] {
  if (Array.isArray(value)) return value.flatMap((each, i) => fieldsIn(each, `${at}[${i}]`, plain));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => {
    const [path, field] = [at, plain].map((before) => (before === "" ? key : `${before}.${key}`));
    return [{ path: path ?? key, field: field ?? key, value: each }, ...fieldsIn(each, path, field)];
  });
}

/** Refuses a field that only who may administer the template gives, wherever it is. */
export function checkRestricted(name: string, { restricted = [] }: TemplateSpec, own: NetworkInput): void {
  const met = fieldsIn(own).find(({ field }) => restricted.some((each) => restricts(each, field)));
  if (met === undefined) return;
  throw new Fault("forbidden", {
    what: `template "${name}" restricts ${met.field}`,
    where: `network.${met.path}`,
    why: "only who may administer the template gives it",
    fix: "leave it out, or ask the template's owner",
  });
}

/** What a put comes to restrict in a network: left out, it stays. */
export function restrictedFields(
  { restricted: given }: Pick<NetworkInput, "restricted">,
  before: readonly string[] | undefined,
): readonly string[] | undefined {
  for (const [i, field] of (given ?? []).entries()) checkField(field, `spec.restricted[${i}]`, false);
  const restricted = given ?? before ?? [];
  return restricted.length === 0 ? undefined : restricted;
}

/** Whether one of the restrictions is about the field, something in it, or what it is in. */
export function isRestricted(restricted: readonly string[], path: string): boolean {
  const field = path.replaceAll(/\[\d{1,3}\]/g, "");
  return restricted.some(
    (each) => restricts(each, field) || field.startsWith(`${each}.`) || each.startsWith(`${field}.`),
  );
}

/** Restrictions whose fields are not the same in both. */
export function changedWithin(restricted: readonly string[], before: object | undefined, after: object): string[] {
  const [old, now] = [before, after].map((part) => fieldsIn(part));
  return restricted.filter((each) => {
    const [had, has] = [old, now].map((fields) =>
      fields?.filter(({ field }) => restricts(each, field)).map(({ path, value }) => [path, value]),
    );
    return !isDeepStrictEqual(had, has);
  });
}

/** Whether a restriction is about the field, at the network or inside of another. */
function restricts(restriction: string, field: string): boolean {
  return field === restriction || field.endsWith(`.${restriction}`);
}

const FIELDS: readonly string[] = pathsIn(NetworkInput);

function pathsIn(schema: TSchema, at = ""): string[] {
  const { properties, items, anyOf } = schema as {
    readonly properties?: Readonly<Record<string, TSchema>>;
    readonly items?: TSchema;
    readonly anyOf?: readonly TSchema[];
  };
  const own = Object.entries(properties ?? {}).flatMap(([key, each]) => {
    const path = at === "" ? key : `${at}.${key}`;
    return [path, ...pathsIn(each, path)];
  });
  return [...own, ...[items, ...(anyOf ?? [])].flatMap((each) => (each === undefined ? [] : pathsIn(each, at)))];
}
