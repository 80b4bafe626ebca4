// What a pool's rules give, and whether they are valid: subnets of an id, parts of the overflow, reserved prefixes.
// Knows no existing network.
import { type Cidr, addressCount, cidrOf, formatCidr, overlaps, parseCidr } from "../../../model/address.ts";
import { Fault } from "../../../model/fault.ts";
import type { NetworkSpec, Pool, Subnet } from "../../../model/resource.ts";
import { VNI_MAX } from "../numbers.ts";
import { type Collision, checkUsable } from "./overlap.ts";
import { subnetsOf } from "./subnet.ts";

export type Ipam = NetworkSpec["ipam"];
type PoolSpec = Pool["spec"];
/** A choice looks at one part after another. */
const OVERFLOW_BITS_MAX = 20;

/** Refuses rules by which no network, or no network of the default kind, could ever be made. */
export function checkRules(name: string, spec: PoolSpec): void {
  checkIds(spec);
  for (const ipam of ["global", "local"] as const) checkTemplates(spec, ipam);
  checkOverflow(spec);
  checkRoom(name, spec);
}

/** The subnets of an id; undefined if the pool has no such id, or no template for this `ipam`. */
export function subnetsAt(spec: PoolSpec, ipam: Ipam, id: number): readonly Subnet[] | undefined {
  const ids = idsOf(spec);
  if (id < ids.first) return undefined;
  if (id <= ids.last) {
    return templatesOf(spec, ipam)?.map((subnet) => ({ ...subnet, cidr: subnet.cidr.replaceAll("<id>", String(id)) }));
  }
  const { overflow } = spec;
  const part = id - ids.last - 1;
  if (overflow === undefined || part >= overflowParts(spec)) return undefined;
  const all = parseCidr(overflow.cidr, "spec.overflow.cidr");
  const size = addressCount({ ...all, length: overflow.prefix });
  const cidr = formatCidr({ ...all, length: overflow.prefix, base: all.base + BigInt(part) * size });
  if (ipam === "global") return [{ cidr }];
  return overflow.hostPrefix === undefined ? undefined : [{ cidr, hostPrefix: overflow.hostPrefix }];
}

function templatesOf(spec: PoolSpec, ipam: Ipam): readonly Subnet[] | undefined {
  const templates = ipam === "local" ? spec.localSubnets : spec.globalSubnets;
  return templates === undefined || templates.length === 0 ? undefined : templates;
}

export function overflowParts({ overflow }: PoolSpec): number {
  const cidr = cidrOf(overflow?.cidr ?? "");
  return overflow === undefined || cidr === undefined ? 0 : 2 ** (overflow.prefix - cidr.length);
}

export function reservedCollision({ reserved }: PoolSpec, cidr: Cidr): Collision | undefined {
  const met = reserved.find((text) => overlaps(parseCidr(text, "spec.reserved"), cidr));
  if (met !== undefined) return { with: met, why: "it is reserved in the pool" };
  try {
    checkUsable(cidr, "");
    return undefined;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { with: "what no workload can have", why: error.detail.why ?? error.detail.what };
  }
}

/** Of a pool without spaces. */
export function idsOf({ ids = DEFAULT_IDS }: Pick<PoolSpec, "ids">): NonNullable<PoolSpec["ids"]> {
  return ids;
}
const DEFAULT_IDS = { first: 1, last: 255 };

/** Rules of both sorts of pools in one: it would not be said which count. */
export function checkSort(name: string, spec: PoolSpec): void {
  if (spec.spaces === undefined && spec.reuse === undefined) return;
  const field = (["ids", "globalSubnets", "localSubnets", "overflow"] as const).find(
    (each) => spec.spaces === undefined || spec[each] !== undefined,
  );
  if (field === undefined) return;
  const isReuse = spec.spaces === undefined;
  throw new Fault("request-invalid", {
    what: isReuse ? `pool "${name}" has nothing to use again` : `pool "${name}" has both spaces and ${field}`,
    where: `spec.${isReuse ? "reuse" : field}`,
    why: isReuse ? "each id is taken once" : "subnets come either from ids, or out of spaces",
    fix: isReuse ? "leave it out, or give spaces" : "leave one of them out",
  });
}

/** VNIs in order, of which networks may have any. */
export function checkVnis({ vnis }: PoolSpec): void {
  if (vnis === undefined || (vnis.first <= vnis.last && vnis.last <= VNI_MAX)) return;
  throw new Fault("vni-invalid", {
    what: `VNIs from ${vnis.first} to ${vnis.last} are no range`,
    where: "spec.vnis",
    fix: `write the smaller one as \`first\`, and at most ${VNI_MAX}`,
  });
}

function checkIds(spec: PoolSpec): void {
  const ids = idsOf(spec);
  if (ids.first <= ids.last) return;
  throw new Fault("request-invalid", {
    what: `ids from ${ids.first} to ${ids.last} are no range`,
    where: "spec.ids",
    fix: "write the smaller one as `first`",
  });
}

/** With the first and the last id, a template must give subnets that a network accepts. */
function checkTemplates(spec: PoolSpec, ipam: Ipam): void {
  const field = ipam === "local" ? "localSubnets" : "globalSubnets";
  const templates = templatesOf(spec, ipam) ?? [];
  const ids = idsOf(spec);
  for (const [i, { cidr }] of templates.entries()) {
    if (cidr.includes("<id>") || ids.first === ids.last) continue;
    throw new Fault("request-invalid", {
      what: `"${cidr}" is the same for every id`,
      where: `spec.${field}[${i}].cidr`,
      fix: "write <id> where the id belongs, like 10.<id>.0.0/16",
    });
  }
  if (templates.length === 0) return;
  for (const id of [ids.first, ids.last]) {
    subnetsFrom({ subnets: subnetsAt(spec, ipam, id) ?? [] }, ipam, `${field} with id ${id}`);
  }
}

/** Refuses subnets that no network would accept, and names the template that they come from. */
function subnetsFrom(input: Parameters<typeof subnetsOf>[0], ipam: Ipam, source: string): void {
  try {
    subnetsOf(input, ipam);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new Fault(error.reason, { ...error.detail, where: `spec.${source}` }, { cause: error });
  }
}

function checkOverflow(spec: PoolSpec): void {
  const { overflow } = spec;
  const { last } = idsOf(spec);
  if (overflow === undefined) return;
  const cidr = parseCidr(overflow.cidr, "spec.overflow.cidr");
  const most = cidr.family === 4 ? 32 : 128;
  const isInside = overflow.prefix >= cidr.length && overflow.prefix <= most;
  if (!isInside || overflow.prefix - cidr.length > OVERFLOW_BITS_MAX) {
    throw new Fault("prefix-invalid", {
      what: `${overflow.cidr} cannot be divided into /${overflow.prefix}s`,
      where: "spec.overflow.prefix",
      why: isInside ? `there would be more than ${2 ** OVERFLOW_BITS_MAX}` : "a part is larger than the whole",
      fix: `choose a prefix from ${cidr.length} to ${Math.min(most, cidr.length + OVERFLOW_BITS_MAX)}`,
    });
  }
  for (const ipam of ["global", "local"] as const) {
    const subnets = subnetsAt(spec, ipam, last + 1);
    if (subnets !== undefined) subnetsFrom({ subnets }, ipam, "overflow");
  }
}

/** At least one network of the default kind must be possible. */
function checkRoom(name: string, spec: PoolSpec): void {
  const { ipam } = spec;
  const ids = idsOf(spec);
  let met: string | undefined;
  for (let id = ids.first; id <= ids.last + overflowParts(spec); id++) {
    const cidrs = subnetsAt(spec, ipam, id)?.map(({ cidr }) => cidrOf(cidr));
    if (cidrs === undefined) continue;
    const collision = cidrs
      .map((cidr) => (cidr === undefined ? undefined : reservedCollision(spec, cidr)))
      .find((each) => each !== undefined);
    if (collision === undefined) return;
    const texts = cidrs.map((cidr) => (cidr === undefined ? "" : formatCidr(cidr)));
    met ??= `${texts.join(", ")} overlaps ${collision.with}`;
  }
  if (met === undefined) {
    throw new Fault("request-invalid", {
      what: `pool "${name}" has no subnets for ${ipam} networks`,
      where: ipam === "local" ? "spec.localSubnets" : "spec.globalSubnets",
      fix: "give it some, or change ipam",
    });
  }
  throw new Fault("overlap", {
    what: `pool "${name}" could make no ${ipam} network`,
    where: "spec.reserved",
    why: `every id meets what is reserved: ${met}`,
    fix: "reserve less, give an overflow elsewhere, or change ipam",
  });
}
