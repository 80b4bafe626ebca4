// Turns an Apcera cluster into Weft's resources: one pool, from which networks get their ids and Apcera's subnets.
// Pure. A changed file changes the pool, and so only networks that are made afterwards, as in Apcera.
import { formatCidr, parseCidr } from "../../model/address.ts";
import type { ApplyRequest, PoolInput } from "../../model/input.ts";
import type { ApceraConfig } from "./config.ts";

/** The default pool of Apcera 3.0, which no longer made subnets from ids; here it is for networks after the last id. */
const OVERFLOW = "10.224.0.0/12";

export type ResourceOptions = {
  /** Name of the pool; `apcera` by default. */
  readonly pool?: string;
  /** The subnets for networks when all ids are used. */
  readonly overflow?: string;
};

export function applyOf(config: ApceraConfig, options: ResourceOptions = {}): ApplyRequest {
  const spec: PoolInput = {
    driver: config.driver,
    ipam: config.ipam,
    ids: { first: 1, last: 255 },
    globalSubnets: [{ cidr: "192.168.<id>.0/24" }],
    // 256 hosts with 253 endpoints each; how Apcera kept its hosts apart was never published.
    localSubnets: [{ cidr: "10.<id>.0.0/16", hostPrefix: 24 }],
    reserved: config.clusterSubnets,
    overflow: overflowOf(options.overflow ?? OVERFLOW),
  };
  return { resources: [{ kind: "pool", name: options.pool ?? "apcera", spec }] };
}

/** 256 parts of 64 blocks, as far as the subnet is large enough for both. */
function overflowOf(text: string): NonNullable<PoolInput["overflow"]> {
  const cidr = parseCidr(text, "--overflow");
  const prefix = Math.max(cidr.length, Math.min(cidr.length + 8, 24));
  return { cidr: formatCidr(cidr), prefix, hostPrefix: Math.min(prefix + 6, 28) };
}
