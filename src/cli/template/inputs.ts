// Inputs of templates and ranges of their networks, as options write them.
import { ipOf } from "../../model/address.ts";
import type { TemplateInput } from "../../model/kinds/template.ts";
import type { RangeInput } from "../../model/range.ts";
import { misuse } from "../output/error.ts";

const TYPES: readonly TemplateInput["type"][] = ["text", "number", "flag", "list", "address", "cidr"];

/** `prefix:number:pool.prefix=26`. */
export function definitionOf(text: string): TemplateInput {
  const [, name = "", word = "", field = "", , value] = /^([^:=]+):([^:=]+):([^=]+)(=(.*))?$/.exec(text) ?? [];
  const type = TYPES.find((each) => each === word);
  if (type !== undefined) return { name, type, field, ...(value === undefined ? {} : { default: value }) };
  const fix = `write it like --define prefix:number:pool.prefix=26; types are ${TYPES.join(", ")}`;
  throw misuse("--define", `"${text}" is no input`, fix);
}

/** What an input is if it is not given. */
export function inputText({ default: value, required, choices }: TemplateInput): string {
  const of = choices === undefined ? "" : ` (of ${choices.join(", ")})`;
  if (value === undefined) return required === true ? `required${of}` : of.trim();
  return `${Array.isArray(value) ? value.join(",") : String(value)}${of}`;
}

/** `10.7.0.10+20`: twenty addresses from the first on. */
export function rangeOf(text: string, name: string): RangeInput {
  const [, first = "", size = ""] = /^([^+]+)\+([1-9]\d{0,8})$/.exec(text) ?? [];
  const family = ipOf(first)?.family;
  if (family === 4) return { name, type: "ip4", first, size: Number(size) };
  if (family === 6) return { name, type: "ip6-static", first6: first, size: Number(size) };
  throw misuse("--range", `"${text}" is no range`, "write its first address and its size: --range 10.7.0.10+20");
}
