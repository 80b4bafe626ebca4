// Keys of what runtimes send, in the spelling of the specification. Runtimes and plugins are written in Go, whose JSON
// reader ignores the case of keys, so some send another case: containerd says `IngressRate` and `Servers` (go-cni's
// structs have no tags). Pure.

export type Json = { readonly [key: string]: unknown };

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The same object with keys in the spelling of `known`; if a key occurs twice, the exact spelling counts, as in Go. */
export function folded(json: Json, known: readonly string[]): Json {
  if (Object.keys(json).every((key) => known.includes(key))) return json;
  const byLower = new Map(known.map((key) => [key.toLowerCase(), key]));
  const entries = Object.entries(json).flatMap(([key, value]): (readonly [string, unknown])[] => {
    const meant = known.includes(key) ? key : (byLower.get(key.toLowerCase()) ?? key);
    return meant !== key && Object.hasOwn(json, meant) ? [] : [[meant, value]];
  });
  return Object.fromEntries(entries);
}

/** A folded object; any other value as it is. */
export function foldedIn(value: unknown, known: readonly string[]): unknown {
  return isObject(value) ? folded(value, known) : value;
}

const RESULT = ["cniVersion", "interfaces", "ips", "routes", "dns"];
const LISTS: Readonly<Record<string, readonly string[]>> = {
  interfaces: ["name", "mac", "mtu", "sandbox"],
  ips: ["version", "interface", "address", "gateway"],
  routes: ["dst", "gw", "mtu", "advmss", "priority", "table", "scope"],
};

/** A result of an ADD, including the entries of its lists. */
export function foldedResult(result: Json): Json {
  const top = folded(result, RESULT);
  const lists = Object.entries(LISTS).flatMap(([name, keys]) => {
    const list = top[name];
    return Array.isArray(list) ? [[name, list.map((item: unknown) => foldedIn(item, keys))]] : [];
  });
  return { ...top, ...Object.fromEntries(lists) };
}
