// Turns an Apcera cluster into Weft's resources: one pool, from which networks get their ids and Apcera's subnets.
// Pure. A changed file changes the pool, and so networks that are made afterwards, as in Apcera. Another driver is for
// those as well that the pool gave the former one, as in Apcera, which restarted all jobs for it; here they are
// converted while they carry traffic.
import { formatCidr, parseCidr } from "../../model/address.ts";
import type { ApplyRequest, NetworkInput, PoolInput } from "../../model/input.ts";
import { type Snapshot, listIn } from "../../model/resource.ts";
import type { ApceraConfig } from "./config.ts";

/** The default pool of Apcera 3.0, which no longer made subnets from ids; here it is for networks after the last id. */
const OVERFLOW = "10.224.0.0/12";

export type ResourceOptions = {
  /** Name of the pool; `apcera` by default. */
  readonly pool?: string;
  /** The subnets for networks when all ids are used. */
  readonly overflow?: string;
};

/** `known`: what the server has, where an earlier file may have been imported. */
export function applyOf(config: ApceraConfig, options: ResourceOptions = {}, known?: Snapshot): ApplyRequest {
  const { pool: name = "apcera" } = options;
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
  const converted = known === undefined ? [] : convertedBy(config, name, known);
  return { resources: [{ kind: "pool", name, spec }, ...converted] };
}

/** Networks that have the driver of the pool, which is another one from now on. */
function convertedBy({ driver }: ApceraConfig, name: string, known: Snapshot): ApplyRequest["resources"] {
  const pool = listIn(known, "pool").find((one) => one.name === name);
  if (pool === undefined || pool.spec.driver === driver) return [];
  const its = known.networks.filter(({ spec }) => spec.pool?.name === name && spec.driver === pool.spec.driver);
  return its.map((network) => {
    const spec: NetworkInput = { ...network.spec, driver };
    return { kind: "network", name: network.name, spec };
  });
}

/** 256 parts of 64 blocks, as far as the subnet is large enough for both. */
function overflowOf(text: string): NonNullable<PoolInput["overflow"]> {
  const cidr = parseCidr(text, "--overflow");
  const prefix = Math.max(cidr.length, Math.min(cidr.length + 8, 24));
  return { cidr: formatCidr(cidr), prefix, hostPrefix: Math.min(prefix + 6, 28) };
}
