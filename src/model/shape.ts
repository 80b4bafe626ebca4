// What is wrong with a value's shape, in one sentence with a path: `spec.subnets[0].cidr: expected a string, got 5`.
// Knows how typebox reports what a JSON schema refuses, and nothing about any schema.
import type { Excess } from "./bounds.ts";
import { Fault, type Reason } from "./fault.ts";

/** One entry of typebox's list. `instancePath` is a JSON pointer. */
type SchemaError = {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: object;
  readonly message: string;
};

/**
 * The Fault for the first error that helps: `request-invalid`, or the reason for a number out of range. `root` is put
 * before paths.
 */
export function shapeFault(errors: readonly SchemaError[], value: unknown, root: string): Fault {
  const error = mostTelling(errors);
  if (error === undefined) return invalid(root, "another form", value, SEE_SCHEMA);
  const where = pathOf(root, error.instancePath);
  const found = valueAt(value, error.instancePath);
  const param = (name: string): unknown => (error.params as { readonly [name: string]: unknown })[name];
  switch (error.keyword) {
    case "additionalProperties": {
      const name = String(firstOf(param("additionalProperties")));
      return refused(joined(where, name), "unknown field", "correct its name or leave it out");
    }
    case "required":
      return invalid(joined(where, String(firstOf(param("requiredProperties")))), "a value", undefined, "give it one");
    case "type":
      return invalid(where, typeText(String(param("type"))), found, SEE_SCHEMA);
    case "anyOf":
      return invalid(where, choicesAt(errors, error.instancePath), found, "choose one of them");
    case "const":
      return invalid(where, JSON.stringify(param("allowedValue")), found, "it is the only choice");
    case "minimum":
    case "maximum": {
      const range = `at ${error.keyword === "minimum" ? "least" : "most"} ${String(param("limit"))}`;
      return refused(where, `expected ${range}, got ${shown(found)}`, `choose ${range}`, rangeReason(where));
    }
    default:
      return refused(where, error.message, SEE_SCHEMA);
  }
}

/** The Fault for what is too large. */
export function excessFault({ path, unit, most, found }: Excess, root: string): Fault {
  const where = path.reduce(joined, root);
  const many = found.toLocaleString("en-US");
  const max = most.toLocaleString("en-US");
  const fix = unit === "characters" ? "shorten it" : unit === "items" ? "divide it, or shorten it" : SEE_SCHEMA;
  return refused(where, `it has ${many} ${unit}, and may have ${max}`, fix);
}

const SEE_SCHEMA = "correct it; examples/ has files, and GET /openapi.json the form of every request";

const TYPE_TEXTS: Readonly<Record<string, string>> = {
  integer: "a whole number",
  boolean: "true or false",
  array: "a list",
};

/** A type of JSON schema, as people say it. */
function typeText(type: string): string {
  return TYPE_TEXTS[type] ?? `${/^[aeiou]/.test(type) ? "an" : "a"} ${type}`;
}

/** A `request-invalid` Fault about one field. */
export function invalid(where: string, expected: string, found: unknown, fix: string): Fault {
  return refused(where, `expected ${expected}, got ${maySay(where) ? shown(found) : kindOf(found)}`, fix);
}

/** Not of what may be a secret: in a field for one, or a whole body that is none of the objects which bodies are. */
function maySay(where: string): boolean {
  return !/^$|(?:^|\.)(?:password|current|token|secret|code)$/i.test(where);
}

function kindOf(value: unknown): string {
  return typeof value === "string" ? "a text" : typeof value === "number" ? "a number" : shown(value);
}

function refused(path: string, what: string, fix: string, reason: Reason = "request-invalid"): Fault {
  const where = path === "" ? "body" : path;
  return new Fault(reason, { what: `${where}: ${what}`, where, fix });
}

/** The schema reports what is inside a union or an unknown field first, and the union or the field after it. */
function mostTelling(errors: readonly SchemaError[]): SchemaError | undefined {
  const first = errors[0];
  if (first?.keyword === "boolean") return errors.find((error) => error.keyword === "additionalProperties") ?? first;
  return errors.find((error) => error.keyword === "anyOf" && error.instancePath === first?.instancePath) ?? first;
}

function choicesAt(errors: readonly SchemaError[], pointer: string): string {
  const values = errors.filter((error) => error.instancePath === pointer).flatMap(choiceOf);
  return values.length === 0 ? "one of its forms" : values.join(" or ");
}

/** What one form of a union asks for. */
function choiceOf({ keyword, params }: SchemaError): string[] {
  const { allowedValue, type } = params as { readonly allowedValue?: unknown; readonly type?: unknown };
  if (keyword === "const") return [JSON.stringify(allowedValue)];
  return keyword === "type" && type === "array" ? ["a list"] : [];
}

/** A number out of range has a reason of its own if users would search for it. */
function rangeReason(where: string): Reason {
  const field = where.slice(where.lastIndexOf(".") + 1);
  if (field === "vni") return "vni-invalid";
  if (field === "vlan" || field === "outerVlan") return "vlan-invalid";
  if (field === "mtu" || field === "underlayMtu") return "mtu-invalid";
  return "request-invalid";
}

function pathOf(root: string, pointer: string): string {
  return segmentsOf(pointer).reduce((path, segment) => joined(path, segment), root);
}

function joined(path: string, segment: string): string {
  if (/^\d+$/.test(segment)) return `${path}[${segment}]`;
  return path === "" ? segment : `${path}.${segment}`;
}

function segmentsOf(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((segment) => segment.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function valueAt(value: unknown, pointer: string): unknown {
  let found = value;
  for (const segment of segmentsOf(pointer)) {
    if (typeof found !== "object" || found === null) return undefined;
    found = (found as { readonly [name: string]: unknown })[segment];
  }
  return found;
}

function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "number" || typeof value === "boolean" || value === null) return String(value);
  if (typeof value === "string") return value.length > 60 ? "a long string" : JSON.stringify(value);
  return Array.isArray(value) ? "a list" : "an object";
}

function firstOf(list: unknown): unknown {
  return Array.isArray(list) ? list[0] : undefined;
}
