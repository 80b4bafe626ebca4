// Checks the server's blocks: each must belong to an existing host, and none may overlap another of its VRF.
import { type Cidr, cidrOf, lastOf } from "../../model/address.ts";
import { type Evidence, RULES, type Rule } from "../../model/check.ts";
import type { Block, Snapshot } from "../../model/resource.ts";
import type { CheckContext, Judgement } from "./judgement.ts";

type Placed = { readonly block: Block; readonly cidr: Cidr; readonly vrf: string };

export function blockFindings(snapshot: Snapshot, context: CheckContext): Judgement[] {
  const placed = snapshot.blocks.flatMap((block): Placed[] => {
    const cidr = cidrOf(block.spec.cidr);
    const vrf = context.networks.get(block.spec.network)?.spec.vrf;
    return cidr === undefined || vrf === undefined ? [] : [{ block, cidr, vrf }];
  });
  const strays = placed.filter(({ block }) => !context.hosts.has(block.spec.host));
  return [
    ...strays.map((one) => {
      const says = `${one.block.name} is of a host that is not there`;
      return judged(one, "host-gone", "make the host join, then delete it", [says]);
    }),
    ...[...Map.groupBy(placed, ({ vrf, cidr }) => `${vrf} ${cidr.family}`).values()].flatMap(overlaps),
  ];
}

/** In order of their first address, two that overlap are adjacent, or one between them overlaps too. */
function overlaps(placed: readonly Placed[]): Judgement[] {
  const inOrder = placed.toSorted((a, b) => (a.cidr.base < b.cidr.base ? -1 : a.cidr.base > b.cidr.base ? 1 : 0));
  let reach: Placed | undefined;
  return inOrder.flatMap((one) => {
    const before = reach;
    if (before === undefined || lastOf(one.cidr).value > lastOf(before.cidr).value) reach = one;
    if (before === undefined || one.cidr.base > lastOf(before.cidr).value) return [];
    const says = [before, one].map(({ block: { name, spec } }) => `${name} is ${spec.cidr} of ${spec.host}`);
    return [judged(one, "two-blocks", "delete one of the two hosts, and let it join again", says)];
  });
}

function judged({ block, vrf }: Placed, rule: Rule, remedy: string, says: readonly string[]): Judgement {
  const { network, host, cidr } = block.spec;
  const evidence = says.map((text): Evidence => ({ source: "server", host, says: text }));
  const of = { network, vrf, addresses: [cidr], endpoint: "", host };
  return { finding: { kind: RULES[rule], rule, ...of, evidence, remedy, mendable: false } };
}
