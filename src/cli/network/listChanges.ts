// What an edit of a network made of its lists.
import { allHostAddresses } from "../../model/carrying.ts";
import { labelsText } from "../../model/labels.ts";
import type { NetworkSpec } from "../../model/resource.ts";
import { subnetsText } from "./draft.ts";

const NONE = "none";

/** A line for each list that is another one now: `  hosts: h1, h2 -> h1`. */
export function listChanges(before: NetworkSpec, after: NetworkSpec): string {
  const [old, now] = [before, after].map(textsOf);
  return (now ?? [])
    .map(([label, text], i) => [label, old?.[i]?.[1] || NONE, text || NONE])
    .filter(([, from, to]) => from !== to)
    .map(([label, from, to]) => `  ${label}: ${from} -> ${to}\n`)
    .join("");
}

function textsOf(spec: NetworkSpec): readonly (readonly [label: string, text: string])[] {
  const addresses = allHostAddresses(spec).map(({ host, address }) => `${host} ${address}`);
  return [
    ["subnets", subnetsText(spec.subnets)],
    ["hosts", spec.hosts?.join(", ") ?? ""],
    ["clusters", spec.clusters?.join(", ") ?? ""],
    ["host addresses", addresses.sort().join(", ")],
    ["DNS", spec.dns?.join(", ") ?? ""],
    ["outsiders", spec.outsiders?.join(", ") ?? ""],
    ["labels", labelsText(spec.labels)],
    ["security groups", spec.securityGroups?.join(", ") ?? ""],
  ];
}
