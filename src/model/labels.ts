// Labels: what people say of networks, hosts and endpoints for themselves, as keys with values. Kubernetes' syntax, so
// that both may be named by the same words. Nothing in a kernel follows from them.
import Type from "typebox";
import { Fault } from "./fault.ts";
import { type Value, Name, optional } from "./schema.ts";

/** At most so many of one resource. */
const LABELS_MAX = 64;
const NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?$/;
const PREFIX = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;
const KEY_RULE =
  "a key has 1 to 63 letters, digits, dots, dashes and underscores, the first and last a letter or digit; before " +
  "it may stand a domain name and a slash";
const VALUE_RULE = "a value is empty, or is like the name of a key: 1 to 63 letters, digits, dots, dashes, underscores";

export const Labels = Type.Record(Name, Name, {
  maxProperties: LABELS_MAX,
  description: `Keys and values for people and selectors, like rack: r7. At most ${LABELS_MAX}.`,
});
export type Labels = Value<typeof Labels>;
export const optionalLabels = optional(Labels);

export function isLabelKey(text: string): boolean {
  const slash = text.indexOf("/");
  return slash < 0 ? NAME.test(text) : PREFIX.test(text.slice(0, slash)) && NAME.test(text.slice(slash + 1));
}

export function isLabelValue(text: string): boolean {
  return text === "" || NAME.test(text);
}

/** In the order of their keys, undefined for none; a Fault `label-invalid` names the first that cannot be. */
export function checkLabels(labels: Labels | undefined, where: string): Labels | undefined {
  if (labels === undefined) return undefined;
  const entries = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [key, value] of entries) {
    const shown = `"${key.slice(0, 80)}"`;
    if (!isLabelKey(key)) throw wrong(where, `${shown} cannot be the key of a label`, KEY_RULE);
    if (!isLabelValue(value))
      throw wrong(where, `"${value.slice(0, 80)}" cannot be the value of label ${shown}`, VALUE_RULE);
  }
  if (entries.length > LABELS_MAX)
    throw wrong(where, `there are ${entries.length} labels`, `a resource has at most ${LABELS_MAX}`);
  return Object.fromEntries(entries);
}

/** The same, where none is written as nothing. */
export function someLabels(labels: Labels | undefined): Labels | undefined {
  return labels === undefined || Object.keys(labels).length === 0 ? undefined : labels;
}

function wrong(where: string, what: string, why: string): Fault {
  return new Fault("label-invalid", { what, where, why, fix: "correct it, like rack=r7 or example.org/tier=web" });
}

/** Those of any resource; of kinds that have none, none. */
export function labelsOf({ spec }: { readonly spec: object }): Labels {
  return "labels" in spec ? ((spec.labels as Labels | undefined) ?? NONE) : NONE;
}
const NONE: Labels = {};

/** `rack=r7, tier=web`. */
export function labelsText(labels: Labels | undefined): string {
  return Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(", ");
}
