// Checks the server's blocks: each must belong to an existing host, and none may overlap another of its VRF.
import { type Cidr, cidrOf, lastOf } from "../../model/address.ts";
import { type Finding, RULES, type Rule } from "../../model/check.ts";
import type { Block, Snapshot } from "../../model/resource.ts";
import type { CheckContext, Judgement } from "./judgement.ts";

export function blockFindings(snapshot: Snapshot, context: CheckContext): Judgement[] {
  const placed = snapshot.blocks.flatMap((block) => {
    const cidr = cidrOf(block.spec.cidr);
    const vrf = context.networks.get(block.spec.network)?.spec.vrf;
    return cidr === undefined || vrf === undefined ? [] : [{ block, cidr, vrf }];
  });
  const strays = placed.filter(({ block }) => !context.hosts.has(block.spec.host));
  return [
    ...strays.map(({ block, vrf }) =>
      finding(
        "host-gone",
        block,
        vrf,
        [`${block.name} is of a host that is not there`],
        "make the host join, then delete it",
      ),
    ),
    ...[...Map.groupBy(placed, ({ vrf, cidr }) => `${vrf} ${cidr.family}`).values()].flatMap(overlaps),
  ];
}

type Placed = { readonly block: Block; readonly cidr: Cidr; readonly vrf: string };

/** In order of their first address, two that overlap are adjacent, or one between them overlaps too. */
function overlaps(placed: readonly Placed[]): Judgement[] {
  const inOrder = placed.toSorted((a, b) => (a.cidr.base < b.cidr.base ? -1 : a.cidr.base > b.cidr.base ? 1 : 0));
  let reach: Placed | undefined;
  return inOrder.flatMap((one) => {
    const before = reach;
    if (before === undefined || lastOf(one.cidr).value > lastOf(before.cidr).value) reach = one;
    if (before === undefined || one.cidr.base > lastOf(before.cidr).value) return [];
    const says = [before, one].map(({ block: { name, spec } }) => `${name} is ${spec.cidr} of ${spec.host}`);
    return [finding("two-blocks", one.block, one.vrf, says, "delete one of the two hosts, and let it join again")];
  });
}

function finding(rule: Rule, { spec }: Block, vrf: string, says: readonly string[], remedy: string): Judgement {
  const { network, host, cidr } = spec;
  const found: Finding = {
    kind: RULES[rule],
    rule,
    network,
    vrf,
    addresses: [cidr],
    endpoint: "",
    host,
    evidence: says.map((text) => ({ source: "server", host, says: text })),
    remedy,
    mendable: false,
  };
  return { finding: found, act: undefined };
}
